use super::*;
use crate::base::event::{Event, Resource};
use crate::config::secret::Secret;
use crate::store::age::generate;
use crate::store::{Mode, Store};
use proptest::prelude::*;

fn of(public: &[&str], private: Option<&Secret>) -> Keys {
    let public: Vec<String> = public.iter().map(|&key| key.to_owned()).collect();
    let private = private.map(|key| key.expose().to_owned());
    let identity = private.map(|key| -> crate::store::objects::Fetch { Box::new(move || Ok(Secret::new(key.clone()))) });
    Keys::new(&public, identity).expect("keys")
}

fn open(dir: &std::path::Path, who: &str, keys: Keys) -> Store {
    let mut settings = super::super::tests::settings(dir);
    settings.identity.name = who.to_owned();
    settings.keys = keys;
    Store::open(settings, Mode::Create).expect("a state")
}

fn say(store: &Store, reason: &str) {
    let event = Event::new("model.made", Resource::new("model", "m")).because(None, Some(reason));
    store.write(|tx| Ok(tx.record(event))).expect("written");
}

/// What stands in the columns.
fn stored(store: &Store) -> Vec<String> {
    let read = |sql: &str| store.read(|v| v.all(sql, &[], |r| Ok(r.text(0)?.to_owned()))).expect("read");
    [read("SELECT name FROM pseudonym ORDER BY id"), read("SELECT value FROM opening ORDER BY seq")].concat()
}

/// What is read of names and reasons.
fn shown(store: &Store) -> (Vec<String>, Vec<Option<String>>) {
    let names = store.read(|v| v.all("SELECT name FROM pseudonym WHERE kind <> 'host'", &[], |r| r.name(0)));
    let mut names = names.expect("read");
    names.sort();
    (names, store.read(|v| v.all("SELECT value FROM opening ORDER BY seq", &[], |r| r.opened(0))).expect("read"))
}

fn reasons(of: &[&str]) -> Vec<Option<String>> {
    of.iter().map(|&text| Some(text.to_owned())).collect()
}

fn init(dir: &std::path::Path) {
    let mut settings = super::super::tests::settings(dir);
    settings.identity.name = "maker".into();
    Store::init(settings).expect("a state");
}

#[test]
fn with_a_key_names_and_reasons_are_read_and_nothing_stands_in_the_clear() {
    let dir = tempfile::tempdir().expect("a directory");
    init(dir.path());
    let (private, public) = generate();
    let ada = open(dir.path(), "ada@example.com", of(&[&public], Some(&private)));
    say(&ada, "because of Zürich");
    say(&ada, "because of Bern");
    assert!(!stored(&ada).iter().any(|text| text.contains("because") || text.contains("ada@")), "{:?}", stored(&ada));
    let (names, said) = shown(&ada);
    assert!(names.contains(&"ada@example.com".to_owned()), "{names:?}");
    assert_eq!(said, reasons(&["because of Zürich", "because of Bern"]));
    // One person is one pseudonym, from another process too, and one data key serves.
    let again = open(dir.path(), "ada@example.com", of(&[&public], Some(&private)));
    say(&again, "later");
    assert_eq!(shown(&again).0.iter().filter(|name| *name == "ada@example.com").count(), 1);
    assert_eq!(again.read(|v| v.count("SELECT count(*) FROM data_key", &[])).expect("read"), 1);

    let blind = open(dir.path(), "eve", Keys::default());
    let (names, said) = shown(&blind);
    assert!(names.iter().any(|name| name.starts_with("user-")) && !names.contains(&"ada@example.com".to_owned()), "{names:?}");
    assert_eq!(said, vec![None, None, None]);
}

#[test]
fn a_host_without_the_private_key_writes_what_it_cannot_read() {
    let dir = tempfile::tempdir().expect("a directory");
    init(dir.path());
    let (private, public) = generate();
    let runner = open(dir.path(), "nightly", of(&[&public], None));
    say(&runner, "scheduled");
    let later = open(dir.path(), "nightly", of(&[&public], None));
    assert_eq!(shown(&later).1, vec![None]);
    say(&later, "scheduled again");
    let ada = open(dir.path(), "ada", of(&[&public], Some(&private)));
    assert_eq!(shown(&ada).1, reasons(&["scheduled", "scheduled again"]));
}

#[test]
fn keys_change_in_one_step_and_what_no_key_reads_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    init(dir.path());
    say(&open(dir.path(), "ada", Keys::default()), "in the clear");
    let ((a, public_a), (b, public_b)) = (generate(), generate());
    let reseal = |store: &Store| {
        store
            .write(|tx| {
                tx.record(Event::new("artifacts.rekeyed", Resource::new("state", "s")));
                tx.reseal_fields()
            })
            .expect("resealed")
    };
    let first = open(dir.path(), "ada", of(&[&public_a], Some(&a)));
    let told = first.read(|v| v.sealed_fields()).expect("read");
    assert_eq!((told.clear, told.current, told.other), (told.values, 0, 0));
    let told = reseal(&first);
    assert_eq!((told.rewritten, told.left), (told.values, 0));
    assert_eq!(first.read(|v| v.sealed_fields()).expect("read").open(), 0);
    assert!(stored(&first).iter().all(|text| text.starts_with(MARK)), "{:?}", stored(&first));

    let both = Secret::new(format!("{}{}", a.expose(), b.expose()));
    let second = open(dir.path(), "ada", of(&[&public_b], Some(&both)));
    let told = reseal(&second);
    assert_eq!((told.other, told.left), (told.values, 0));
    let only = open(dir.path(), "ada", of(&[&public_b], Some(&b)));
    assert_eq!(shown(&only).1, reasons(&["in the clear"]));
    assert_eq!(shown(&open(dir.path(), "ada", of(&[&public_a], Some(&a)))).1, vec![None]);
    assert_eq!(only.read(|v| v.count("SELECT count(*) FROM data_key", &[])).expect("read"), 1, "the old data key is gone");

    // Whoever has the wrong key changes nothing and forgets no data key.
    let before = stored(&only);
    let told = reseal(&open(dir.path(), "ada", of(&[&public_a], Some(&a))));
    assert_eq!(told.left, told.other);
    assert!(before.iter().all(|text| stored(&only).contains(text)));
    assert_eq!(shown(&only).1, reasons(&["in the clear"]));

    let open_again = open(dir.path(), "ada", of(&[], Some(&both)));
    reseal(&open_again);
    let stored = stored(&open_again);
    assert!(stored.contains(&"ada".to_owned()) && stored.contains(&"in the clear".to_owned()), "{stored:?}");
    // Two hosts knew one person by two pseudonyms; both still say who it is.
    let blind = open(dir.path(), "ada", Keys::default());
    assert_eq!(shown(&blind).0.iter().filter(|name| *name == "ada").count(), 2, "{stored:?}");
    assert_eq!(open_again.read(|v| v.count("SELECT count(*) FROM data_key", &[])).expect("read"), 0);
}

#[test]
fn a_value_in_anothers_place_or_altered_anywhere_is_damaged_and_never_a_text() {
    let dir = tempfile::tempdir().expect("a directory");
    init(dir.path());
    let (private, public) = generate();
    let store = open(dir.path(), "ada", of(&[&public], Some(&private)));
    say(&store, "because");
    let sealed = store.read(|v| v.first("SELECT value FROM opening", &[], |r| Ok(r.text(0)?.to_owned()))).expect("read");
    let sealed = sealed.expect("a value");
    let seq = store.read(|v| v.count("SELECT seq FROM opening", &[])).expect("read");
    store
        .read(|view| {
            let (reveal, context) = (view.reveal(), opening_context(seq, "reason"));
            assert!(matches!(reveal.kept(&context, &[], &sealed), Kept::Open { sealed: true, .. }));
            assert_eq!(reveal.kept(&opening_context(seq + 1, "reason"), &[], &sealed), Kept::Damaged);
            assert_eq!(reveal.kept(&context, &[7; 32], &sealed), Kept::Damaged, "a salt beside it was put there");
            for at in MARK.len()..sealed.len() {
                let mut bytes = sealed.clone().into_bytes();
                bytes[at] ^= 1;
                let Ok(altered) = String::from_utf8(bytes) else { continue };
                let kept = reveal.kept(&context, &[], &altered);
                assert_eq!(kept, Kept::Damaged, "byte {at} of {sealed}");
            }
            Ok(())
        })
        .expect("read");
}

#[test]
fn a_damaged_data_key_is_told_and_values_under_it_are_not_called_right() {
    let dir = tempfile::tempdir().expect("a directory");
    init(dir.path());
    let ((private, public), (_, other)) = (generate(), generate());
    let first = open(dir.path(), "ada", of(&[&public], Some(&private)));
    say(&first, "because");
    first
        .write(|tx| {
            tx.record(Event::new("artifacts.rekeyed", Resource::new("state", "s")));
            tx.reseal_fields()
        })
        .expect("resealed");
    let wrapped = first.read(|v| v.first("SELECT wrapped FROM data_key", &[], |r| Ok(r.blob(0)?.to_vec())));
    let wrapped = wrapped.expect("read").expect("a data key");
    let put = |bytes: &[u8]| {
        let db = rusqlite::Connection::open(dir.path().join("state.db")).expect("the state");
        db.execute("UPDATE data_key SET wrapped = ?1", [bytes]).expect("written");
    };
    let told = |keys: Keys| open(dir.path(), "ada", keys).read(|v| v.sealed_fields()).expect("read");
    let sealed = |public: &str, key: &[u8]| {
        let mut out = Vec::new();
        let mut writer =
            crate::store::age::Recipients::parse(&[public.to_owned()]).expect("a key").writer(&mut out).expect("a stream");
        writer.write_all(key).expect("written");
        writer.finish().expect("finished");
        out
    };
    let right = told(of(&[&public], Some(&private)));
    assert_eq!((right.current, right.damaged, right.locked), (right.values, 0, 0));
    let mut header = wrapped.clone();
    // In the body of the first stanza, so that it looks like one for somebody else.
    let stanza = header.windows(9).position(|w| w == b"-> X25519").expect("a stanza");
    let body = stanza + header[stanza..].iter().position(|b| *b == b'\n').expect("a line") + 5;
    header[body] = if header[body] == b'A' { b'B' } else { b'A' };
    let mut end = wrapped.clone();
    *end.last_mut().expect("a byte") ^= 1;
    // Another key of 32 bytes opens, and nothing that was sealed does.
    for altered in [
        header,
        end,
        wrapped[..20].to_vec(),
        sealed(&public, &[7; KEY_LEN]),
        sealed(&public, &[7; 3]),
        sealed(&other, &[7; KEY_LEN]),
    ] {
        put(&altered);
        let found = told(of(&[&public], Some(&private)));
        assert_eq!((found.damaged, found.current), (found.values, 0), "{}", String::from_utf8_lossy(&altered));
        let store = open(dir.path(), "ada", of(&[&public], Some(&private)));
        let again = store.write(|tx| {
            tx.record(Event::new("artifacts.rekeyed", Resource::new("state", "s")));
            tx.reseal_fields()
        });
        assert!(again.expect("resealed").left >= found.values, "none of them is called right");
        let locked = told(of(&[&public], None));
        assert!(locked.locked > 0, "who has no key cannot tell: {locked:?}");
    }
}

#[test]
fn a_text_that_looks_sealed_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    init(dir.path());
    let store = open(dir.path(), "ada", Keys::default());
    let event = Event::new("model.made", Resource::new("model", "m")).because(None, Some(&format!("{MARK}x")));
    let e = store.write(|tx| Ok(tx.record(event))).expect_err("refused");
    assert!(e.to_string().contains("marks what is encrypted"), "{e}");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_as_it_was(text in ".{0,200}", salt in prop::array::uniform32(any::<u8>()), seq in any::<i64>()) {
        let key = DataKey::new("k", &[7; KEY_LEN]).expect("a key");
        let sealed = key.seal_opening(seq, "reason", &salt, &text).expect("sealed");
        let opened = key.open(&Parts::of(&sealed).expect("parts"));
        prop_assert_eq!(opened, Some(Kept::Open { salt: salt.to_vec(), text, sealed: true }));
    }
}
