//! What kf says about language models that answer and judge.

use super::{loaded, refused};
use crate::base::quantity::TokenPrice;
use crate::config::{LlmProvider, SecretRef, Statements};

#[test]
fn a_model_is_a_provider_and_a_name() {
    let plain = loaded("[llm]\nprovider = \"anthropic\"\nmodel = \"m\"\n", &[], None).project;
    let llm = plain.llm.expect("a model");
    assert_eq!((llm.base_url.as_str(), llm.concurrency, llm.temperature), ("https://api.anthropic.com", 8, 0.0));
    assert_eq!((llm.price_input, plain.judge), (None, None));
    let judge = loaded(
        "[judge]\nprovider = \"openai\"\nmodel = \"m\"\napi-key = \"env:KEY\"\nprice-input = 0.15\nprice-output = 1_0\n\
         metrics = [\"faithfulness\", \"faithfulness\"]\nstatements = \"sentences\"\n\
         [[judge.panel]]\nprovider = \"anthropic\"\nmodel = \"n\"\n",
        &[],
        None,
    );
    let judge = judge.project.judge.expect("a judge");
    let (lead, second) = (&judge.models[0], &judge.models[1]);
    assert_eq!((lead.provider, second.provider), (LlmProvider::OpenAi, LlmProvider::Anthropic));
    assert_eq!((lead.base_url.as_str(), &lead.api_key), ("https://api.openai.com/v1", &Some(SecretRef::Env("KEY".into()))));
    assert_eq!((lead.price_input, lead.price_output), (Some(TokenPrice(150_000)), Some(TokenPrice(10_000_000))));
    assert_eq!((judge.metrics, judge.statements), (vec!["faithfulness".to_owned()], Statements::Sentences));
}

#[test]
fn what_cannot_judge_is_refused_all_at_once() {
    let said = refused(
        r#"[project]
name = "shop"
[llm]
model = "m"
api-key = "hunter2"
[judge]
provider = "openai"
model = " "
base-url = "ftp://host"
temperature = 2.5
timeout = "0s"
price-input = 0.0000001
price-output = -1
metrics = ["token-f1", "faithfullness"]
rubric = " "
questions = 11
min-coverage = 90
[[judge.panel]]
model = "n"
[[judge.panel]]
[[judge.panel]]
provider = "openai"
model = "o"
"#,
    );
    for wanted in [
        "`llm.api-key` must be a reference to a secret, not the secret itself",
        "`judge.model` is empty",
        "`judge.base-url` must be a URL with `https://` or `http://` and a host",
        "`judge.temperature` must be between 0 and 2",
        "`judge.timeout` must not be zero",
        "`0.0000001` is no price that can be counted exactly",
        "`-1` is no price that can be counted exactly",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let said = refused(
        r#"[project]
name = "shop"
[judge]
provider = "openai"
model = "m"
metrics = ["token-f1", "faithfullness"]
rubric = " "
questions = 11
min-coverage = 90
[[judge.panel]]
provider = "anthropic"
[[judge.panel]]
[[judge.panel]]
provider = "openai"
model = "m"
"#,
    );
    for wanted in [
        "`token-f1` is no metric that is judged",
        "did you mean `faithfulness`?",
        "`judge.rubric` is empty",
        "`judge.questions` must not be above 10",
        "`judge.min-coverage` must be between 0 and 1",
        "`[judge.panel.1]` has no `model`",
        "`[[judge.panel.2]]` is empty",
        "there are more than 3 judges",
        "`m` judges twice",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let said = refused("[project]\nname = \"shop\"\n[judge]\nmetrics = [\"faithfulness\"]\n");
    assert!(said.contains("`[judge]` says how answers are judged, and not by whom"), "{said}");
    assert!(refused("[project]\nname = \"shop\"\n[llm]\nmodel = \"m\"\n").contains("`[llm]` has no `provider`"));
}
