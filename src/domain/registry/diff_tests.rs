use super::*;
use crate::domain::registry::manifest::media_type;

type Files<'a> = &'a [(&'a str, &'a [u8])];

fn manifest(files: Files<'_>, depends: Vec<Digest>) -> Manifest {
    let entry = |(path, bytes): &(&str, &[u8])| FileEntry {
        path: (*path).to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        media: media_type(path, bytes).to_owned(),
    };
    Manifest::new(ModelType::Config, files.iter().map(entry).collect(), depends).expect("valid")
}

fn difference(old: Files<'_>, new: Files<'_>) -> Difference {
    let contents: BTreeMap<Digest, Vec<u8>> = old.iter().chain(new).map(|(_, b)| (Digest::of(b), b.to_vec())).collect();
    let mut read = |d: &Digest| contents.get(d).cloned().ok_or_else(|| crate::base::error::Error::new("no such object"));
    let (a, b, none) = (manifest(old, vec![]), manifest(new, vec![]), BTreeMap::new());
    let side = |manifest| Side { manifest, depends: &[], metrics: &none };
    compare(side(&a), side(&b), &Layout::default(), &mut read).expect("compared")
}

fn check(old: Files<'_>, new: Files<'_>, expected: &str) {
    assert_eq!(text(&difference(old, new)), expected);
}

#[test]
fn equal_versions_do_not_differ() {
    let files: Files<'_> = &[("a.txt", b"x"), ("b.bin", b"\0")];
    assert!(difference(files, files).is_empty());
    check(files, files, "");
}

#[test]
fn structured_files_differ_by_key() {
    check(
        &[("retrieval.yaml", b"retrieval:\n  top_k: 5\n"), ("routing.toml", b"a = 1\n")],
        &[("retrieval.yaml", b"retrieval:\n  top_k: 8\n"), ("routing.json", b"{\"a\": 2}")],
        "changed retrieval.yaml\n    retrieval.top_k: 5 \u{2192} 8\nrenamed routing.toml \u{2192} routing.json\n    a: 1 \u{2192} 2\n",
    );
}

#[test]
fn a_structured_file_with_other_comments_differs_as_text() {
    check(
        &[("retrieval.yaml", b"k: 1\n")],
        &[("retrieval.yaml", b"# why\nk: 1\n")],
        "changed retrieval.yaml\n    --- a/retrieval.yaml\n    +++ b/retrieval.yaml\n    @@ -1 +1,2 @@\n    +# why\n     k: 1\n",
    );
}

#[test]
fn prompts_differ_by_text_and_by_variables() {
    check(
        &[("prompts/a.txt", b"Hi {name}\n"), ("prompts/b.yaml", b"hello: '{x}'\nbye: '{y}'\n")],
        &[("prompts/a.txt", b"Hi {user}\n"), ("prompts/b.yaml", b"hello: '{x}!'\nmore: '{z}'\n")],
        "changed prompts/a.txt\n    prompt: +{user} -{name}\n    --- a/prompts/a.txt\n    +++ b/prompts/a.txt\n    @@ -1 +1 @@\n    \
         -Hi {name}\n    +Hi {user}\nchanged prompts/b.yaml\n    prompt `bye` removed: -{y}\n    prompt `more` added: +{z}\n    \
         hello: \"{x}\" \u{2192} \"{x}!\"\n    bye: removed \"{y}\"\n    more: added \"{z}\"\n",
    );
}

#[test]
fn the_messages_of_a_chat_are_one_prompt() {
    let old = b"messages:\n- {role: user, content: '{q}'}\n";
    let new = b"messages:\n- {role: system, content: '{tone}'}\n- {role: user, content: '{q}'}\n";
    let d = difference(&[("prompts/c.yaml", old)], &[("prompts/c.yaml", new)]);
    let expected =
        PromptChange { key: Some("messages".into()), status: Status::Changed, added: vec!["tone".into()], removed: vec![] };
    assert_eq!(d.files[0].prompts, [expected]);
}

#[test]
fn other_files_differ_by_size_and_digest() {
    let (a, b) = (Digest::of(b"\0a").short(), Digest::of(b"\0bc").short());
    check(&[("w.bin", b"\0a")], &[("w.bin", b"\0bc")], &format!("changed w.bin\n    2 B {a} \u{2192} 3 B {b}\n"));
    check(&[("x/w.bin", b"\0a")], &[("w.bin", b"\0a"), ("n.txt", b"n")], "added n.txt (1 B)\nrenamed x/w.bin \u{2192} w.bin\n");
}

#[test]
fn large_files_are_not_read() {
    let entry =
        |n: u8| FileEntry { path: "a.txt".into(), digest: Digest::of(&[n]), size: TEXT_MAX + 1, media: "text/plain".into() };
    let of = |n| Manifest::new(ModelType::Other, vec![entry(n)], vec![]).expect("valid");
    let (a, b, none) = (of(1), of(2), BTreeMap::new());
    let side = |manifest| Side { manifest, depends: &[], metrics: &none };
    let mut refuse = |_: &Digest| -> Result<Vec<u8>> { panic!("read a large file") };
    let d = compare(side(&a), side(&b), &Layout::default(), &mut refuse).expect("compared");
    assert_eq!(d.files[0].detail, Detail::Binary);
    let mut lost = |_: &Digest| Err(crate::base::error::Error::new("no such object"));
    let (a, b) = (manifest(&[("p.txt", b"1")], vec![]), manifest(&[("p.txt", b"2")], vec![]));
    let e = compare(side(&a), side(&b), &Layout::default(), &mut lost).expect_err("unreadable");
    assert_eq!(e.to_string(), "cannot compare `p.txt`: no such object");
}

#[test]
fn dependencies_and_metrics_differ_by_name() {
    let dep = |name: &str, version: &str| Dependency {
        name: name.parse().expect("name"),
        version: version.parse().expect("version"),
        digest: Digest::of(format!("{name}{version}").as_bytes()),
    };
    let (old, new) = ([dep("bge", "1.0.0"), dep("rank", "1.0.0")], [dep("bge", "2.0.0"), dep("gpt", "1.0.0")]);
    let unnamed = Digest::of(b"?");
    let a = manifest(&[], old.iter().map(|d| d.digest).collect());
    let b = manifest(&[], new.iter().map(|d| d.digest).chain([unnamed]).collect());
    let m = |kv: &[(&str, f64)]| kv.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>();
    let (ma, mb) = (m(&[("f", 0.5), ("same", 1.0)]), m(&[("f", 0.75), ("same", 1.0), ("new", 2.0)]));
    let (a, b) = (Side { manifest: &a, depends: &old, metrics: &ma }, Side { manifest: &b, depends: &new, metrics: &mb });
    let mut none = |_: &Digest| Ok(Vec::new());
    let d = compare(a, b, &Layout::default(), &mut none).expect("compared");
    let expected = format!(
        "needs bge: 1.0.0 \u{2192} 2.0.0\nneeds gpt: added 1.0.0\nneeds rank: removed 1.0.0\n\
         needs {unnamed}: added an unknown version\nmetric f: 0.5 \u{2192} 0.75 (+0.2500)\nmetric new: none \u{2192} 2\n"
    );
    assert_eq!(text(&d), expected);
}
