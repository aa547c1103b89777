//! Objects on S3 keep the promises they keep on files, also when the network or the server fails in the middle
//! (faults 25 of the fault table: 500/503, reset, lost answer, wrong bytes, expired credentials).

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use crate::support::proxy::{Fault, Proxy};
use crate::support::{s3, skip};
use kf::base::digest::Digest;
use kf::base::error::Error;
use kf::base::time::Timestamp;
use kf::config::env::Env;
use kf::config::secret::{Secret, SecretRef};
use kf::data::{self, Input};
use kf::store::objects::{self, Health, Objects, RemoteOptions, Stored};
use kf::store::runtime::block_on;
use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3Builder;
use std::collections::BTreeMap;
use std::path::Path;

/// A place in the bucket of its own, reached directly or through a proxy that breaks things.
struct Place {
    server: &'static s3::Server,
    url: String,
    direct: Objects,
}

impl Place {
    /// None, with a word on stderr, where there is no server.
    fn new() -> Option<Self> {
        match s3::shared() {
            Ok(server) => {
                let url = server.fresh();
                Some(Self { server, direct: open(&url, server.port()), url })
            }
            Err(why) => {
                skip(why);
                None
            }
        }
    }

    fn through_proxy(&self) -> (Proxy, Objects) {
        let proxy = Proxy::to(self.server.port());
        let objects = open(&self.url, proxy.port());
        (proxy, objects)
    }

    /// Puts other bytes under an object's key, by another client.
    fn damage(&self, digest: &Digest, bytes: &str) {
        let client = AmazonS3Builder::new()
            .with_bucket_name(s3::BUCKET)
            .with_endpoint(format!("http://127.0.0.1:{}", self.server.port()))
            .with_access_key_id("other")
            .with_secret_access_key("other")
            .with_allow_http(true)
            .build()
            .unwrap();
        let (hex, prefix) = (digest.hex(), self.url.rsplit('/').next().unwrap());
        let key = format!("{prefix}/sha256/{}/{}", &hex[..2], &hex[2..]);
        block_on(client.put(&key.into(), bytes.to_owned().into())).unwrap().unwrap();
    }

    fn listed(&self) -> Vec<(Digest, u64)> {
        let mut all = Vec::new();
        let mut each = |digest, size, _| {
            all.push((digest, size));
            Ok(())
        };
        self.direct.list(&mut each).unwrap();
        all
    }
}

fn secret(text: &str) -> Secret {
    SecretRef::Env("X".into()).resolve(&Env::new([("X", text)]), Path::new(".")).unwrap()
}

fn open(url: &str, port: u16) -> Objects {
    Objects::open(url, &options(port)).unwrap()
}

fn options(port: u16) -> RemoteOptions {
    RemoteOptions {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        access_key: Some(secret("AKIATEST")),
        secret_key: Some(secret("hunter2")),
        allow_http: true,
        ..RemoteOptions::default()
    }
}

/// More than goes into one put, and not a whole number of parts.
fn large() -> Vec<u8> {
    let block: Vec<u8> = (0..1_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    block.iter().copied().cycle().take((64 << 20) + 12_345).collect()
}

fn check_error(e: &Error, message: &str, hint: &str) {
    assert!(e.to_string().contains(message), "{e}");
    assert!(e.hints().iter().any(|h| h.contains(hint)), "{:?}", e.hints());
    assert!(!format!("{e}").contains("hunter2") && !format!("{e}").contains("AKIA"), "{e}");
}

#[test]
fn bytes_come_back_as_they_went_in() {
    let Some(place) = Place::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("new\nline 🦀"), dir.path().join("copy"));
    for bytes in [vec![], vec![0], vec![7; 5_000_000], large()] {
        std::fs::write(&file, &bytes).unwrap();
        let stored = place.direct.put_file(&file).unwrap();
        assert_eq!(stored, Stored { digest: Digest::of(&bytes), size: bytes.len() as u64, new: true });
        assert_eq!(place.direct.put_bytes(&bytes).unwrap(), Stored { new: false, ..stored });
        assert_eq!(place.direct.stat(&stored.digest).unwrap(), Some(stored.size));
        assert_eq!(place.direct.verify(&stored.digest).unwrap(), Health::Ok);
        place.direct.copy_to(&stored.digest, &copy).unwrap();
        assert!(std::fs::read(&copy).unwrap() == bytes);
        assert!(place.listed().contains(&(stored.digest, stored.size)));
    }
    assert_eq!(place.listed().len(), 4);
    assert!(place.direct.describe().starts_with("s3://kf-test/t"), "{}", place.direct.describe());
}

#[test]
fn many_files_are_stored_in_order() {
    let Some(place) = Place::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let write = |i: usize| {
        let path = dir.path().join(i.to_string());
        std::fs::write(&path, vec![b'x'; i % 30]).unwrap();
        path
    };
    let paths: Vec<_> = (0..60).map(write).collect();
    let told = std::cell::Cell::new(0);
    let stored = place.direct.put_files(&paths, 8, &|n| told.set(told.get() + n)).unwrap();
    assert!(stored.iter().enumerate().all(|(i, s)| s.digest == Digest::of(&vec![b'x'; i % 30])));
    assert_eq!(told.get(), stored.iter().map(|s| s.size).sum::<u64>());
    assert_eq!(place.listed().len(), 30);
}

#[test]
fn wrong_bytes_are_found_refused_and_healed() {
    let Some(place) = Place::new() else { return };
    let digest = place.direct.put_bytes(b"right").unwrap().digest;
    let dir = tempfile::tempdir().unwrap();
    for wrong in ["wrong", "", "right and more"] {
        place.damage(&digest, wrong);
        let (found, size) = (Digest::of(wrong.as_bytes()), wrong.len() as u64);
        assert_eq!(place.direct.verify(&digest).unwrap(), Health::Corrupt { found, size });
        let fault = objects::Fault::Corrupt { digest, found, size };
        assert_eq!(place.direct.read(&digest, 100).unwrap_err().cause(), Some(&fault));
        assert_eq!(place.direct.copy_to(&digest, &dir.path().join("x")).unwrap_err().cause(), Some(&fault));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    assert!(place.direct.put_bytes(b"right").unwrap().new, "a wrong size is replaced");
    assert_eq!(place.direct.verify(&digest).unwrap(), Health::Ok);
}

#[test]
fn missing_is_told_from_a_bucket_that_is_not_there() {
    let Some(place) = Place::new() else { return };
    let digest = Digest::of(b"never stored");
    assert_eq!(place.direct.verify(&digest).unwrap(), Health::Missing);
    assert_eq!(place.direct.stat(&digest).unwrap(), None);
    assert_eq!(place.direct.read(&digest, 9).unwrap_err().cause(), Some(&objects::Fault::Missing(digest)));
    let nowhere = open("s3://no-such-bucket/x", place.server.port());
    let fails: [Error; 4] = [
        nowhere.verify(&digest).unwrap_err(),
        nowhere.stat(&digest).unwrap_err(),
        nowhere.put_bytes(b"x").unwrap_err(),
        nowhere.list(&mut |_, _, _| Ok(())).unwrap_err(),
    ];
    for e in fails {
        check_error(&e, "the bucket does not exist", "artifacts.url");
    }
}

#[test]
fn trash_can_be_undone_until_it_is_emptied() {
    let Some(place) = Place::new() else { return };
    let at = Timestamp::from_micros;
    let digest = place.direct.put_bytes(b"x").unwrap().digest;
    assert!(!place.direct.trash(&Digest::of(b"y"), at(1)).unwrap());
    assert!(place.direct.trash(&digest, at(5)).unwrap());
    assert_eq!(place.direct.verify(&digest).unwrap(), Health::Missing);
    assert!(place.listed().is_empty());
    assert_eq!(place.direct.empty_trash(at(5)).unwrap(), []);
    assert!(place.direct.untrash(&digest).unwrap());
    assert_eq!(place.direct.verify(&digest).unwrap(), Health::Ok);
    assert!(place.direct.trash(&digest, at(9)).unwrap());
    assert_eq!(place.direct.empty_trash(at(10)).unwrap(), [objects::Trashed { digest, since: at(9) }]);
    assert!(!place.direct.untrash(&digest).unwrap());
}

/// Stores small bytes while one fault strikes: it must succeed, and the object be there once and right.
fn check_put_survives(request: &str, fault: Fault) {
    let Some(place) = Place::new() else { return };
    let (proxy, objects) = place.through_proxy();
    proxy.arm(request, fault.clone());
    let stored = objects.put_bytes(b"some bytes").unwrap_or_else(|e| panic!("{fault:?} at {request}: {e}"));
    assert_eq!(proxy.fired(), 1, "{fault:?} at {request}");
    assert!(stored.new, "{fault:?} at {request}");
    assert_eq!(place.direct.verify(&stored.digest).unwrap(), Health::Ok);
    assert_eq!(place.listed().len(), 1);
}

#[test]
fn a_put_survives_a_failing_server_and_a_broken_connection() {
    for request in ["HEAD /", "PUT /"] {
        check_put_survives(request, Fault::http("503 Service Unavailable", "<Error><Code>SlowDown</Code></Error>"));
        check_put_survives(request, Fault::http("500 Internal Server Error", ""));
        check_put_survives(request, Fault::Drop);
    }
}

#[test]
fn a_put_whose_reply_is_lost_took_effect_once() {
    check_put_survives("PUT /", Fault::CutReply(0));
    check_put_survives("PUT /", Fault::CutReply(20));
}

#[test]
fn an_upload_in_parts_survives_at_every_step() {
    let Some(place) = Place::new() else { return };
    let bytes = large();
    // Begin, a part, and the end of the upload.
    let steps = [
        ("?uploads", Fault::Drop),
        ("?uploads", Fault::CutReply(0)),
        ("partNumber=2", Fault::CutReply(0)),
        ("<CompleteMultipartUpload", Fault::CutReply(0)),
    ];
    for (i, (request, fault)) in steps.into_iter().enumerate() {
        let (proxy, objects) = place.through_proxy();
        let mut bytes = bytes.clone();
        bytes[0] = u8::try_from(i).unwrap();
        proxy.arm(request, fault);
        let stored = objects.put_bytes(&bytes).unwrap_or_else(|e| panic!("{request}: {e}"));
        assert_eq!(proxy.fired(), 1, "{request}");
        assert!(stored.new, "{request}");
        assert_eq!(place.direct.verify(&stored.digest).unwrap(), Health::Ok);
    }
    assert_eq!(place.listed().len(), 4);
}

#[test]
fn a_download_that_breaks_off_is_taken_up_again() {
    let Some(place) = Place::new() else { return };
    let bytes = vec![9; 3_000_000];
    let digest = place.direct.put_bytes(&bytes).unwrap().digest;
    let (proxy, objects) = place.through_proxy();
    proxy.arm("GET /", Fault::CutReply(1_000_000));
    assert!(objects.read(&digest, u64::MAX).unwrap() == bytes);
    assert_eq!(proxy.fired(), 1);
}

#[test]
fn expired_credentials_say_what_to_set() {
    let Some(place) = Place::new() else { return };
    let digest = place.direct.put_bytes(b"x").unwrap().digest;
    let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message>\
                <Token-0>AKIATEST</Token-0></Error>";
    let expired = || Fault::http("400 Bad Request", body);
    let (proxy, objects) = place.through_proxy();
    for request in ["GET /", "PUT /"] {
        proxy.arm(request, expired());
        let e = if request == "PUT /" { objects.put_bytes(b"y").map(|_| ()) } else { objects.verify(&digest).map(|_| ()) };
        check_error(&e.unwrap_err(), "the credentials have expired (ExpiredToken)", "AWS_SESSION_TOKEN");
    }
    // The answer to a head has no body; the get that follows tells why.
    proxy.arm("HEAD /", Fault::http("400 Bad Request", ""));
    proxy.arm("GET /", expired());
    check_error(&objects.stat(&digest).unwrap_err(), "the credentials have expired (ExpiredToken)", "AWS_SESSION_TOKEN");
    assert_eq!(proxy.fired(), 4);
}

#[test]
fn a_file_that_is_written_to_is_not_stored() {
    let Some(place) = Place::new() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), large()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = std::fs::OpenOptions::new().append(true).open(file.path()).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                std::io::Write::write_all(&mut writer, b"more").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let e = place.direct.put_file(file.path()).unwrap_err();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        check_error(&e, "changed while being read", "wait until");
    });
    assert!(place.listed().is_empty());
}

#[test]
fn data_is_read_from_an_object_by_its_url() {
    let Some(place) = Place::new() else { return };
    let bytes = [b"a,b\n".as_slice(), &b"1,x\n".repeat(500_000)].concat();
    let hex = place.direct.put_bytes(&bytes).unwrap().digest.hex();
    let url = format!("{}/sha256/{}/{}", place.url, &hex[..2], &hex[2..]);
    let proxy = Proxy::to(place.server.port());
    proxy.arm("GET /", Fault::CutReply(1_000_000));
    let input = Input::object(&url, &options(proxy.port())).unwrap();
    let table = data::open(&[input], &BTreeMap::new()).unwrap();
    let source = &table.sources()[0];
    assert_eq!((source.name.as_str(), source.digest, table.rows()), (url.as_str(), Digest::of(&bytes), 500_000));
    assert_eq!(proxy.fired(), 1);
    let missing = |url: &str| Input::object(url, &options(place.server.port())).unwrap_err();
    check_error(&missing(&format!("{}/nothing.csv", place.url)), "there is no such object", "name of the bucket");
    check_error(&missing("s3://no-such-bucket/x"), "the bucket does not exist", "bucket");
}
