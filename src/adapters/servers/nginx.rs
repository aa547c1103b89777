//! nginx: one file that its configuration includes, `nginx -t`, reload.
//!
//! A reload reads all of the configuration; when it cannot be used nginx only says so in its log and goes on as before. So the
//! configuration is tested first, the old file is put back when it does not pass, and what counts is the generation that answers.
//! A reload ends idle connections of clients: some do not send a POST again, see `docs/targets.md`.

use super::door::{Door, client};
use super::nginx_conf::Conf;
use super::split::{Split, Written};
use super::versions::Versions;
use super::{Served, Server, place, put_back, refused, replace};
use crate::adapters::process::{Program, why};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::random::Random;
use crate::config::{Address, NginxTarget, Target};
use crate::seams::traffic::{Asked, Fault};
use crate::store::objects::atomic;
use std::path::{Path, PathBuf};

/// nginx with a file of kf.
pub struct Nginx {
    conf: Conf,
    model: Name,
    url: Address,
    file: PathBuf,
    door: Door,
    test: Program,
    reload: Program,
    mirror: bool,
}

impl Nginx {
    /// The nginx of a target whose repository is at `root`, with the versions behind it.
    ///
    /// # Errors
    /// When an address is none, or TLS cannot be set up.
    pub fn open(target: &Target, settings: &NginxTarget, root: &Path, random: Random) -> Result<Served<Self>> {
        let (behind, timeout) = (&settings.behind, target.timeout);
        let http = client(timeout, random)?;
        let program = |argv: &[String]| Program::from_argv(argv).map(|program| program.dir(root).timeout(timeout));
        let server = Self {
            conf: Conf {
                target: target.name.clone(),
                sticky_header: behind.sticky_header.clone(),
                session_cookie: behind.session_cookie.clone(),
            },
            model: target.model.clone(),
            url: behind.url.clone(),
            file: place(root, &settings.file),
            door: Door::new(http.clone(), &behind.probe, target.name.clone(), timeout)?,
            test: program(&settings.test)?,
            reload: program(&settings.reload)?,
            mirror: settings.mirror,
        };
        Ok(Served { server, versions: Versions::new(target, behind, http, root.to_owned()), timeout })
    }

    fn text(&self, split: &Split) -> Result<String> {
        let places = split.versions().into_iter().map(|version| {
            let address = self.url.at(&self.model, version);
            Ok((version, address.parse().context(|| format!("`{address}` is no address"))?))
        });
        Ok(self.conf.render(split, &places.collect::<Result<Vec<_>>>()?))
    }

    /// Whether nginx takes its configuration; what it said when it does not.
    fn tested(&self) -> Result<()> {
        let done = self.test.run(b"")?;
        if done.ended.success() {
            return Ok(());
        }
        Err(Error::new(format!("nginx does not take its configuration: {}", said(&self.test.name(), &done))))
    }
}

/// What nginx said of an error, with file and line; all of it when it does not call one so.
fn said(name: &str, done: &crate::adapters::process::Output) -> String {
    let text = format!("{}\n{}", done.stderr, String::from_utf8_lossy(&done.stdout));
    // What nginx logs begins with a time and its process.
    let grave =
        |line: &str| ["[emerg]", "[crit]"].iter().find_map(|level| line.find(level).map(|at| line[at..].trim().to_owned()));
    match text.lines().find_map(grave) {
        Some(line) => crate::base::text::visible(&line, 500),
        None => why(name, &done.ended, &text),
    }
}

impl Server for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn how_to_include(&self) -> String {
        let p = self.conf.prefix();
        format!(
            "put `include {};` into `http {{ … }}` of nginx.conf, `proxy_pass ${p};` and `add_header X-Kf-Generation ${p}_generation always;` \
             into the `location` of users, and reload",
            self.file.display()
        )
    }

    fn parse(&self, text: &str) -> Result<(Split, bool)> {
        self.conf.parse(text)
    }

    fn unedited(&self, text: &str) -> Result<String> {
        self.text(&Conf::told(text)?.0)
    }

    fn running(&self) -> Asked<Option<Split>> {
        let mut split = self.door.agreed()?;
        // Nobody told the answer of an edit; nginx may have read it since.
        if let Some(split) = &mut split
            && let Some((edited, false)) = std::fs::read_to_string(&self.file).ok().and_then(|text| self.conf.parse(&text).ok())
            && edited.generation == split.generation
        {
            split.weight = edited.weight;
        }
        Ok(split)
    }

    fn check(&self) -> Asked<()> {
        atomic::probe(&self.file).map_err(refused)?;
        // A configuration that includes the file already cannot pass before it is there; it is tested when it is written.
        if self.file.exists() { self.tested().map_err(refused) } else { Ok(()) }
    }

    fn can_copy(&self) -> Asked<()> {
        if self.mirror {
            return Ok(());
        }
        let message = "nginx sends no copies: the key `mirror` is not set";
        let hint = "add the location for copies of docs/targets.md and `mirror = true`. nginx waits for a copy before a client's \
                    connection is free again, so a slow canary slows users: send few, with short limits";
        Err(refused(Error::new(message).hint(hint)))
    }

    fn install(&self, split: &Split, before: Option<&Written>, good: bool) -> Asked<()> {
        let text = self.text(split).map_err(refused)?;
        let back = replace(&self.file, &text, before, good).map_err(refused)?;
        if let Err(e) = self.tested() {
            put_back(&self.file, back.as_deref()).map_err(refused)?;
            let hint = format!("`{}` is as it was, and nginx goes on as before", self.file.display());
            return Err(refused(e.hint(hint)));
        }
        let done = self.reload.run(b"").map_err(Fault::Unclear)?;
        if done.ended.success() {
            return Ok(());
        }
        if before.is_some() {
            put_back(&self.file, back.as_deref()).map_err(refused)?;
        }
        let message = format!("nginx was not told to read its configuration again: {}", said(&self.reload.name(), &done));
        Err(Fault::Unclear(Error::new(message).hint("`reload` must run as a user who may signal nginx, and nginx must run")))
    }

    fn prune(&self, _: &Split) -> Asked<()> {
        Ok(())
    }
}
