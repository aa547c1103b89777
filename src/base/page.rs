//! Reports as one HTML file: no script, nothing loaded from elsewhere, light and dark, one style for all.
//!
//! All text is escaped by the template engine, and a content security policy forbids what would still slip through. A page begins
//! with `{% include "head.html" %}`, which needs the value `title` and ends inside of the style, where a page adds its own.

use super::error::{Context, Result};
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior};

/// What pages share; the suffix of a name is what turns escaping on.
const SHARED: [(&str, &str); 2] = [("head.html", include_str!("page/head.html")), ("style.css", include_str!("page/style.css"))];

/// Renders the first of these templates, which may include the others.
///
/// # Errors
/// When a template does not fit the values; `what` says what was to be written.
pub fn render(templates: &[(&'static str, &'static str)], values: Value, what: impl Fn() -> String) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in SHARED.iter().chain(templates) {
        environment.add_template(name, source).context(&what)?;
    }
    let first = templates.first().map_or("head.html", |(name, _)| *name);
    environment.get_template(first).and_then(|template| template.render(values)).context(&what)
}

/// A place on an axis of a drawing: one decimal is a tenth of a pixel and keeps the file small.
pub fn place(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn text_is_escaped_and_a_value_that_is_missing_is_an_error() {
        let page =
            |values| render(&[("page.html", "{% include \"head.html\" %}</style>{{ said }}")], values, || "no page".into());
        let got = page(context! { title => "a < b", said => "<script>" }).expect("rendered");
        assert!(got.contains("<title>a &lt; b</title>") && got.ends_with("</style>&lt;script&gt;"), "{got}");
        assert!(got.contains("svg { display: block;"), "{got}");
        let lacking = page(context! { title => "" }).expect_err("`said` is missing").to_string();
        assert!(lacking.starts_with("no page: undefined value"), "{lacking}");
    }
}
