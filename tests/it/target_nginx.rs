//! What only nginx has: a test of its configuration, a reload, a location that somebody has to write.

use crate::support::front::{Front, Kind, NEW, OLD, both};
use crate::support::skip;
use kf::base::weight::Weight;
use kf::seams::traffic::{Fault, Ready};

fn nginx(test: impl FnOnce(Front)) {
    match Front::start(Kind::Nginx) {
        Ok(front) => test(front),
        Err(why) => skip(&why),
    }
}

fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).expect("a weight")
}

/// Whoever broke the configuration: users are served as before, and the file is the old one.
#[test]
fn a_configuration_that_nginx_does_not_take_changes_nothing() {
    nginx(|front| {
        front.set(20.0).expect("written");
        let (before, conf) = (std::fs::read(front.file()).expect("the file"), front.configuration());
        std::fs::write(front.conf(), conf.clone() + "\nnonsense on;\n").expect("written");
        let line = conf.lines().count() + 2;
        for asked in [front.set(50.0), front.target().preflight(&both())] {
            let Err(Fault::Refused(e)) = asked else { panic!("{asked:?}") };
            let told = format!("unknown directive \"nonsense\" in {}:{line}", front.conf().display());
            assert!(e.to_string().contains(&told), "{e}");
        }
        assert_eq!(std::fs::read(front.file()).expect("the file"), before, "as it was");
        assert_eq!(front.seen().weight, percent(20.0));
        std::fs::write(front.conf(), conf).expect("mended");
        front.set(50.0).expect("written");
    });
}

/// As if kf had been killed between the file and the reload: what answers is what counts, and the next write goes on from there.
#[test]
fn a_file_that_nginx_has_not_read_is_not_believed() {
    nginx(|front| {
        front.set(20.0).expect("written");
        let taken = std::fs::read(front.file()).expect("the file");
        let killed = front.target_with("timeout = \"500ms\"\nreload = [\"true\"]\n");
        let Err(Fault::Unclear(e)) = killed.write(&both(), percent(50.0), &front.seen().guard) else { panic!("not read") };
        assert!(e.to_string().contains("did not take generation 3") && e.to_string().contains("generation 2"), "{e}");
        assert_eq!(front.seen().weight, percent(20.0), "what answers, not what was written");
        let old = front.file().with_file_name("bot.conf.old");
        assert_eq!(std::fs::read(&old).expect("kept"), taken);

        // A reload that fails leaves the last file that nginx took, not the one that was only written.
        let failing = front.target_with("reload = [\"sh\", \"-c\", \"echo no signal >&2; exit 1\"]\n");
        let Err(Fault::Unclear(e)) = failing.write(&both(), percent(60.0), &front.seen().guard) else { panic!("no reload") };
        assert!(e.to_string().contains("no signal"), "{e}");
        assert_eq!(std::fs::read(front.file()).expect("the file"), taken);
        front.set(50.0).expect("written");
        assert_eq!(front.seen().weight, percent(50.0));
    });
}

/// Somebody has to include the file: who starts a rollout is told so for as long as it is not.
#[test]
fn a_file_that_is_not_included_is_said() {
    let mut front = match Front::stopped(Kind::Nginx) {
        Ok(front) => front,
        Err(why) => return skip(&why),
    };
    front.up(OLD);
    front.up(NEW);
    let whole = front.configuration();
    front.target().preflight(&both()).expect("what nginx misses is kf's to write");
    let without: Vec<&str> = whole
        .lines()
        .filter(|line| !line.contains("$kf_") && !line.contains("include ") && !line.contains("log_format"))
        .collect();
    std::fs::write(front.conf(), without.join("\n")).expect("written");
    front.run();
    let target = front.target();
    target.preflight(&both()).expect("nothing is there yet");
    target.scale(&both(), Weight::NONE).expect("the first file");
    let Ok(Ready::NotYet(why)) = target.ready(&both(), Weight::NONE) else { panic!("it is not included") };
    let include = format!("put `include {};`", front.file().display());
    assert!(why.contains(&include) && why.contains("proxy_pass $kf_web;"), "{why}");
    assert!(why.starts_with(&format!("nginx does not go by `{}`: ", front.file().display())), "{why}");
    assert!(target.read(&both()).is_err(), "nothing answers by it");
    std::fs::write(front.conf(), whole).expect("written");
    front.reload();
    let ready = || matches!(target.ready(&both(), Weight::NONE), Ok(Ready::Yes));
    assert!(crate::support::wait_until(20, ready), "{}", front.log());
}

#[test]
fn copies_go_where_the_page_says() {
    nginx(|front| {
        let Err(Fault::Refused(e)) = front.target().shadow(&both(), percent(50.0)) else { panic!("no location") };
        assert!(e.hints()[0].contains("`mirror = true`"), "{e}");
        assert!(matches!(front.target().can_copy(), Err(Fault::Refused(_))));
        let page = std::fs::read_to_string(crate::support::project().join("docs/targets.md")).expect("the page");
        let (_, location) = page.split_once("        location = /kf-shadow {").expect("the page has it");
        let location = location.split("```").next().expect("it ends");
        let conf = front
            .configuration()
            .replace("location / {", &format!("location = /kf-shadow {{{location}\nlocation / {{ mirror /kf-shadow;"));
        std::fs::write(front.conf(), conf).expect("written");
        front.reload();
        let target = front.target_with("mirror = true\n");
        target.can_copy().expect("it says where");
        target.shadow(&both(), percent(50.0)).expect("written");
        let shows = |part: f64| target.copies(&both(), percent(part)).expect("asked");
        assert_eq!((shows(50.0), shows(10.0), shows(0.0)), (true, false, false));
        for headers in ["X-Kf-Version: canary\r\n", "X-Kf-Version: 1.1.0\r\n", "Cookie: kf-version=canary\r\n"] {
            assert_eq!(front.ask(headers), OLD.to_string(), "nobody gets the answers of a shadow: {headers}");
        }
        let copies = |n: usize| {
            let before = front.version(NEW).copies();
            (0..n).for_each(|_| assert_eq!(front.ask(""), OLD.to_string()));
            front.version(NEW).copies() - before
        };
        // Five standard deviations of a binomial around 200, sqrt(400 * 0.25) = 10.
        let found = copies(400);
        assert!((150..=250).contains(&found), "{found} copies");
        target.shadow(&both(), Weight::NONE).expect("written");
        assert_eq!((copies(50), shows(0.0)), (0, true));
        assert_eq!(front.ask("X-Kf-Version: canary\r\n"), OLD.to_string(), "nor when the copies have ended");
    });
}
