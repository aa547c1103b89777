use super::*;
use crate::base::digest::Digest;
use crate::domain::backup::manifest::{Part, Stream, id};
use crate::store::objects::Objects;

/// The time here.
const NOW: i64 = 1_795_000_000_000_000;
const HOUR: i64 = 3_600_000_000;

struct Fixture {
    _dir: tempfile::TempDir,
    objects: Objects,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let objects = Objects::files(&dir.path().join("place")).expect("a place");
        Self { _dir: dir, objects }
    }

    fn place(&self) -> Place<'_> {
        let scratch = std::path::Path::new("scratch");
        let now = Timestamp::from_micros(NOW);
        Place { objects: &self.objects, scratch, signer: None, known: &[], identities: None, jobs: 1, now }
    }

    /// A set that was begun so many microseconds from now.
    fn set(&self, after: i64, chance: u8) -> String {
        let began = Timestamp::from_micros(NOW + after);
        let stored = Stream { object: Digest::of(b"o"), size: 9, plain: Digest::of(b"p"), plain_size: 20 };
        let part = Part {
            name: STATE.parse().expect("a name"),
            kind: "state".into(),
            place: "here".into(),
            tool: None,
            stored,
            counts: crate::seams::backup::Counts::new(),
            log: None,
        };
        let manifest = Manifest {
            schema: Manifest::schema(),
            id: id(began, "daily", &[chance; 4]),
            plan: "daily".parse().expect("a name"),
            began,
            ended: began,
            kf: "0.1.0".into(),
            recipients: Vec::new(),
            log: None,
            components: vec![part],
            artifacts: None,
            lock: None,
        };
        let text = manifest.text(None).expect("a text");
        assert!(self.objects.publish(&format!("{SETS}/{}", manifest.id), text.as_bytes()).expect("published"));
        manifest.id
    }

    /// The latest, and what was told.
    fn latest(&self) -> (String, Vec<String>) {
        let mut said = Vec::new();
        let found = trusted(&self.place(), "latest", STATE, false, &mut |why| said.push(why.to_owned())).expect("a set");
        (found.manifest.id, said)
    }
}

#[test]
fn of_one_second_the_last_is_the_latest_whatever_its_name_is() {
    let f = Fixture::new();
    let (first, second, third) = (f.set(1, 0xff), f.set(2, 0x77), f.set(3, 0x11));
    let earlier = f.set(-10_000_000, 0xaa);
    assert_eq!(f.latest(), (third.clone(), Vec::new()));
    let place = f.place();
    let listed: Vec<String> = all(&place).expect("sets").into_iter().map(|set| set.id).collect();
    assert_eq!(listed, [third, second, first, earlier]);
}

#[test]
fn a_set_of_a_time_yet_to_come_is_the_latest_only_where_there_is_no_other() {
    let f = Fixture::new();
    let ahead = f.set(87_600 * HOUR, 1);
    let (id, said) = f.latest();
    assert_eq!(id, ahead, "the clock here may be behind by years");
    assert!(said.len() == 1 && said[0].contains(&ahead), "{said:?}");
    let old = f.set(-1000 * HOUR, 2);
    let (id, said) = f.latest();
    assert_eq!(id, old);
    assert!(said.len() == 1 && said[0].contains("the clock here says"), "{said:?}");
    let apart = f.set(24 * HOUR, 3);
    assert_eq!(f.latest().0, apart, "clocks may be a day apart");
    assert_eq!(find(&f.place(), &ahead, &mut |_| {}).expect("by its name").manifest.id, ahead);
}

#[test]
fn a_damaged_manifest_is_passed_over_with_a_word_and_strange_files_are_no_sets() {
    let f = Fixture::new();
    let right = f.set(0, 1);
    let damaged = id(Timestamp::from_micros(NOW + 60_000_000), "daily", &[9; 4]);
    for name in [damaged.as_str(), ".DS_Store", "README.md", "20261121-daily-00000000"] {
        f.objects.publish(&format!("{SETS}/{name}"), b"nonsense").expect("published");
    }
    let (id, said) = f.latest();
    assert_eq!(id, right);
    assert!(said.len() == 1 && said[0].contains(&damaged) && said[0].contains("is damaged"), "{said:?}");
    let e = find(&f.place(), &damaged, &mut |_| {}).expect_err("refused");
    assert_eq!(e.kind(), Kind::Broken, "{e}");
    assert_eq!(all(&f.place()).expect("sets").len(), 2);
}
