//! The steps of each scenario (000 §7.3).

use super::facts::Facts;
use super::line::{Line, Word};
use super::parts::{BACK, SET, Writer, copy, kf, there};
use super::runbook::{Role, Runbook, Scenario};

/// Writes the runbook of a scenario.
pub fn write(facts: &Facts, scenario: Scenario) -> Runbook {
    let mut writer = Writer::new(facts, scenario);
    match scenario {
        Scenario::RegionalOutage => regional_outage(&mut writer),
        Scenario::DataCorruption => data_corruption(&mut writer),
        Scenario::CompleteFailure => complete_failure(&mut writer),
        Scenario::LostKey => lost_key(&mut writer),
        Scenario::BadRelease => bad_release(&mut writer),
        Scenario::Ransomware => ransomware(&mut writer),
    }
    writer.book
}

/// DNS failover, restore from backup in the secondary region.
fn regional_outage(w: &mut Writer<'_>) {
    w.need("a clone of this repository outside of the region, with kf");
    w.look(Role::Commander, 5, "See what does not answer", kf(["health"]));
    w.look(Role::Commander, 2, "See what there is to come back to, and how much is lost", kf(["backup", "status"]));
    w.build();
    w.restore([Word::from("latest")]);
    w.check();
    w.bring_in();
    w.serve();
    w.protect();
}

/// Isolate tenants, restore from the last good backup, replay what came later.
fn data_corruption(w: &mut Writer<'_>) {
    let tenants = w.facts.tenants.clone();
    let tenant = w.one_of("TENANT", "tenant whose data are wrong", &tenants);
    let good = w.good();
    match w.facts.tenant_flag.clone() {
        Some(flag) => {
            let line = kf(["flag", "set", flag.as_str(), "--off", "--tenant"]).and(tenant.clone());
            w.act(
                Role::Commander,
                1,
                format!("Isolate the tenant: the application asks the flag {flag} before it serves one"),
                line,
            );
        }
        None => w.gap("the flag that the application asks before it serves a tenant: `tenant-flag` in `[dr]`"),
    }
    let name = w.facts.collection.clone();
    let collection = w.set("COLLECTION", "the collection that is wrong", name.unwrap_or_else(|| "default".to_owned()));
    let of = |line: Line| line.and("--tenant").and(tenant.clone()).and("--collection").and(collection.clone());
    w.look(Role::Operator, 5, "See what is wrong in it", of(kf(["index", "verify"])));
    w.look(
        Role::Operator,
        5,
        "See who changed documents since",
        kf(["audit", "log", "--action", "document.", "--since"]).and(good.clone()),
    );
    w.look(Role::Operator, 1, "See the last good set", kf(["backup", "show", "--point-in-time"]).and(good.clone()));
    w.restore([Word::from("--point-in-time"), good.clone()]);
    w.look(Role::Operator, 5, "See that it was right then", of(copy(["index", "verify"])));
    let snapshot = w.set("SNAPSHOT", "a folder that is not there yet", "/srv/kf-good");
    w.look(Role::Operator, 5, "Take the collection out of the copy", of(copy(["index", "export"]).and(snapshot.clone())));
    let line = of(kf(["index", "import"]).and(snapshot).and("--replace"));
    w.act(Role::Operator, 5, "Put it in the place of the wrong one", line);
    let documents = w.set("DOCUMENTS", "the files that came since, by the log above", "documents");
    w.act(Role::Operator, 15, "Take in again what came since", of(kf(["ingest"]).and(documents)));
    w.look(Role::Operator, 5, "See that all of it is right now", of(kf(["index", "verify"])));
    if let Some(flag) = w.facts.tenant_flag.clone() {
        let line = kf(["flag", "set", flag.as_str(), "--on", "--tenant"]).and(tenant);
        w.act(Role::Commander, 1, "Serve the tenant again", line);
    }
    w.act(Role::Operator, 10, "Back up what is right now", kf(["backup", "run"]));
}

/// Terraform, all databases, configuration, the whole test suite, traffic step by step.
fn complete_failure(w: &mut Writer<'_>) {
    w.need("a machine with kf, and mlops.toml with `[backup]` from wherever it is kept besides");
    w.build();
    w.look(Role::Operator, 1, "See which sets there are", kf(["backup", "list"]));
    w.restore([Word::from("latest")]);
    w.check();
    w.bring_in();
    w.look(Role::Operator, 2, "See that the configuration holds there", there(["config", "check"]));
    w.look(Role::Operator, 2, "See that its programs are there", there(["doctor"]));
    for model in w.facts.models.clone() {
        let out = Word::Of(BACK.to_owned(), format!("/.checked/{model}"));
        let line = there(["checkout", format!("{model}@production").as_str()]).and(out);
        w.look(Role::Operator, 2, format!("See that the {model} of production is whole"), line);
    }
    w.serve();
    w.look(Role::Commander, 60, "Look at figures while users come back, part by part", there(["monitor", "check"]));
    w.protect();
}

/// The key that reads backups, the key that signs the log, the key of what is encrypted where it lies.
fn lost_key(w: &mut Writer<'_>) {
    if w.facts.recipients < 2 {
        w.gap("a second key in `backup.recipients`: when the only one is gone, so is every set that was made for it");
    }
    w.look(Role::Operator, 1, "See which sets there are; those that only the lost key reads are lost", kf(["backup", "list"]));
    if w.facts.recipients > 1 {
        let other = w.set("OTHER_KEY", "the file of another key that reads backups", "other.key");
        let line = kf(["backup", "verify", "latest", "--read-data", "5%", "--identity"]).and(other);
        w.look(Role::KeyHolder, 5, "See that another key reads them", line);
    }
    let new = w.set("NEW_KEY", "the file of a new key that reads backups, kept elsewhere", "new-backup.key");
    w.act(Role::KeyHolder, 2, "Make a new key", kf(["backup", "keygen", "-o"]).and(new.clone()));
    let what = "Write its public key into `backup.recipients` of mlops.toml, in the place of the lost one, and see that it holds";
    w.look(Role::Operator, 5, what, kf(["config", "check"]));
    if w.facts.encrypted {
        new_artifacts_key(w);
    }
    // Before there is a new set: only what the key of now signed is taken for a set, and for a proof of one.
    match w.facts.log_key.clone() {
        None => w.gap("the key that signs the audit log: `log-key` in `[signing]`"),
        Some(reference) => new_log_key(w, &reference),
    }
    w.act(Role::Operator, 15, "Make a set for the new keys: all of it is encrypted anew", kf(["backup", "run"]));
    w.act(Role::KeyHolder, 15, "Prove that the new key reads it", kf(["backup", "drill", "latest", "--identity"]).and(new));
}

/// Objects, names and reasons for a new key. What only a lost one reads stays as it is.
fn new_artifacts_key(w: &mut Writer<'_>) {
    w.need("a private key of `artifacts.encrypt`: without one, names and reasons stay locked in the state and in every set");
    let new = w.set("NEW_ARTIFACTS_KEY", "the file of a new key for artifacts, kept elsewhere, too", "new-kf.key");
    w.act(Role::KeyHolder, 2, "Make a new key for artifacts, names and reasons", kf(["backup", "keygen", "-o"]).and(new));
    let what = "Write its public key into `artifacts.encrypt` in the place of the lost one, add the private one to the file that \
                `artifacts.identity` names, leave the others there, and see that it holds";
    w.look(Role::Operator, 5, what, kf(["config", "check"]));
    w.act(Role::Operator, 15, "Encrypt everything for it that a key here still reads", kf(["rekey"]));
}

/// Another key for the log, which signs what comes from then on.
fn new_log_key(w: &mut Writer<'_>, reference: &str) {
    w.need("the public key of the log, as `kf audit key` printed it");
    let example = "kf/au/62627681a398d3e5+e28068f2+ATuWjJ6FLuxApwuR+E7h85Ne6PrFh2qSJOgf0VQRUkUT";
    let public = w.set("LOG_KEY", "the public key of the log until now", example);
    let what = "See that the log is as the old key signed it";
    w.look(Role::Operator, 5, what, kf(["audit", "verify", "--key"]).and(public));
    let new = w.set("NEW_LOG_KEY", "the file of a new key for the log, kept elsewhere", "new-log.key");
    w.act(Role::KeyHolder, 2, "Make a new key for the log", kf(["audit", "key", "--generate", "--out"]).and(new));
    let what = format!(
        "Put it where `signing.log-key` says ({reference}), or name another place there; sets from before are then taken with `--unsigned`"
    );
    w.look(Role::Operator, 5, what, kf(["config", "check"]));
    w.act(Role::Operator, 2, "Sign the log with it, after a full check", kf(["audit", "checkpoint", "--yes"]));
    w.act(Role::Operator, 2, "Commit what was signed, so that others can hold it against the log", kf(["audit", "anchor"]));
}

/// The version before, within minutes.
fn bad_release(w: &mut Writer<'_>) {
    let models = w.facts.models.clone();
    let model = w.one_of("MODEL", "model", &models);
    let why = w.set("WHY", "what is wrong with it, in words", "answers in the wrong language");
    w.look(Role::Commander, 1, "See what is where", kf(["status"]));
    let line = kf(["rollback"]).and(model.clone()).and("--reason").and(why.clone());
    w.act(Role::Operator, 2, "Put back the last good version, and the traffic with it", line);
    let line = kf(["rollback"]).and(model.clone()).and("--emergency").and("--reason").and(why);
    w.act(Role::Operator, 1, "Only where that does not end, because the state cannot be used: go past it", line);
    for target in w.facts.targets.clone().iter().filter(|target| target.gateway) {
        let line = kf(["gateway", "status", "--target", target.name.as_str()]);
        w.look(Role::Operator, 1, format!("See what users of {} get", target.model), line);
    }
    w.look(Role::Operator, 1, "See that everything answers", kf(["health"]));
    w.look(Role::Commander, 1, "See who put what where, for the report", kf(["history"]).and(model));
}

/// A clean machine, a set from before, proofs from outside, new keys everywhere.
fn ransomware(w: &mut Writer<'_>) {
    w.need("a machine that was never connected to those that are lost, with kf");
    w.need("whoever takes away credentials at the providers, before the first step");
    w.need("a checkpoint of the audit log from outside, such as audit/checkpoint in a clone of somebody else");
    let good = w.good();
    w.look(Role::Operator, 1, "See which sets there are", kf(["backup", "list"]));
    w.look(Role::Operator, 1, "See the newest set from before", kf(["backup", "show", "--point-in-time"]).and(good));
    let set = w.set(SET, "that set", "20261120t080000z-daily-010203ff");
    let key = w.key();
    let line = kf(["backup", "verify"]).and(set.clone()).and("--read-data").and("all").and("--identity").and(key);
    w.look(Role::KeyHolder, 20, "Read all of it, and see who signed it", line);
    w.restore([set]);
    let checkpoint = w.set("CHECKPOINT", "the file of a checkpoint from outside", "checkpoint");
    let line = copy(["audit", "verify", "--against"]).and(checkpoint);
    w.look(Role::Commander, 5, "See that the log is the one that others know", line);
    w.check();
    let new = w.set("NEW_KEY", "the file of a new key that reads backups, kept elsewhere", "new-backup.key");
    w.act(
        Role::KeyHolder,
        2,
        "Make a new key for backups, for `backup.recipients`",
        kf(["backup", "keygen", "-o"]).and(new.clone()),
    );
    if w.facts.log_key.is_some() {
        let log = w.set("NEW_LOG_KEY", "the file of a new key for the log, kept elsewhere", "new-log.key");
        let line = copy(["audit", "key", "--generate", "--out"]).and(log);
        w.act(Role::KeyHolder, 2, "Make a new key for the log, for `signing.log-key`", line);
    }
    w.build();
    w.bring_in();
    w.serve();
    w.act(Role::Operator, 15, "Back up what is in use now, to a place with new credentials", there(["backup", "run"]));
    let line = there(["backup", "drill", "latest", "--identity"]).and(new);
    w.act(Role::KeyHolder, 15, "Prove that it comes back", line);
    let file = w.set("LOG_FILE", "a file for the log, for whoever looks into it", "log.jsonl");
    w.look(Role::Commander, 5, "Give the log to whoever looks into it", there(["audit", "export", "jsonl"]).and(file));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(facts: &Facts, scenario: Scenario) -> Vec<String> {
        write(facts, scenario).steps.iter().map(|step| step.line.to_string()).collect()
    }

    #[test]
    fn the_new_keys_are_there_before_the_set_that_they_sign_and_seal() {
        let log_key = Some("file:log.key".to_owned());
        let all = lines(&Facts { log_key, encrypted: true, ..Facts::default() }, Scenario::LostKey);
        let at = |part: &str| all.iter().position(|line| line.starts_with(part)).unwrap_or_else(|| panic!("{part}: {all:?}"));
        let (signed, sealed) = (at("kf audit checkpoint"), at("kf rekey"));
        assert!(signed < at("kf backup run") && sealed < at("kf backup run"), "{all:?}");
        assert_eq!(at("kf backup drill"), all.len() - 1);
        let plain = lines(&Facts::default(), Scenario::LostKey);
        assert!(!plain.iter().any(|line| line.starts_with("kf rekey")), "{plain:?}");
    }

    #[test]
    fn the_example_of_a_set_has_the_name_of_one() {
        let book = write(&Facts::default(), Scenario::Ransomware);
        let example = &book.set.iter().find(|of| of.name == SET).expect("a variable").example;
        assert_eq!(example.split('-').count(), 3, "TIME-PLAN-CHANCE: {example}");
    }
}
