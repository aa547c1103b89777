//! One version that answers: its thread, and what is known of it.
//!
//! A version that is told to stop finishes its requests first. Wanted again in that time it goes on as if nothing had been said, and after
//! it begins anew when its end is complete, because a way back must not wait for a way out, and two programs of one version never live.

use super::log::Log;
use super::{Ground, MARK, files, leftover, worker};
use crate::adapters::http::{Http, Refused, Request};
use crate::adapters::process::{Event, Program, Running};
use crate::base::error::{Context, Error, Result};
use crate::base::text::ellipsis;
use crate::config::Serves;
use crate::gateway::table::{Answering, Standing};
use crate::seams::traffic::Arm;
use crate::store::runtime::block_on;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a thread looks whether its version is still wanted.
const TICK: Duration = Duration::from_millis(100);
/// How long to wait before a program that ended is started again, at first and at most; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A program that was ready for so long has not failed to start: the waits begin anew.
const STEADY: Duration = Duration::from_secs(60);
/// So many ends in a row before it was ever ready, and waiting will not help.
const HOPELESS: u64 = 3;

/// A version that answers, or is about to.
pub(super) struct One {
    arm: Arm,
    ground: Arc<Ground>,
    http: Arc<Http>,
    shown: Mutex<Answering>,
    /// One of the words below.
    wish: AtomicU8,
    /// Whether its files go with it.
    forget: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// It is to answer.
const WANTED: u8 = 0;
/// It is to finish its requests and end.
const DRAINING: u8 = 1;
/// Its end has begun.
const ENDING: u8 = 2;
/// Its end has begun, and it is to answer after that.
const AGAIN: u8 = 3;
/// Nothing of it is left.
const OVER: u8 = 4;

/// How one life of a program went.
struct Life {
    /// How long it was ready; `None` when it never was.
    ready_for: Option<Duration>,
    /// How it ended, in words.
    why: String,
}

impl One {
    /// Starts the thread of a version, whose program listened on `port` the last time.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(super) fn start(arm: Arm, port: Option<u16>, ground: Arc<Ground>, http: Arc<Http>) -> Result<Arc<Self>> {
        let shown = Answering {
            version: arm.version,
            digest: arm.digest,
            standing: Standing::Starting,
            endpoint: None,
            why: None,
            crashes: 0,
            log: Vec::new(),
        };
        let one = Arc::new(Self {
            arm,
            ground,
            http,
            shown: Mutex::new(shown),
            wish: AtomicU8::new(WANTED),
            forget: AtomicBool::new(false),
            thread: Mutex::default(),
        });
        let own = Arc::clone(&one);
        let name = format!("kf-{}", own.arm.version);
        let thread = std::thread::Builder::new().name(name).spawn(move || own.live(port)).context(|| "cannot start a thread")?;
        *one.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(one)
    }

    /// How it stands.
    pub(super) fn shown(&self) -> Answering {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.wish.load(Ordering::SeqCst) {
            WANTED => {}
            AGAIN => shown.standing = Standing::Starting,
            _ => shown.standing = Standing::Stopping,
        }
        shown
    }

    /// True when it is to end.
    fn is_stopping(&self) -> bool {
        self.wish.load(Ordering::SeqCst) != WANTED
    }

    /// True when nothing of it is left.
    pub(super) fn is_over(&self) -> bool {
        self.wish.load(Ordering::SeqCst) == OVER
    }

    /// One step from a wish to another; false when it was not that one.
    fn turns(&self, from: u8, to: u8) -> bool {
        self.wish.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Tells it to end, and whether its files go with it. It tells nobody: who calls this may hold what `changed` needs.
    pub(super) fn stop(&self, forget: bool) {
        self.forget.store(forget, Ordering::SeqCst);
        let _ = self.turns(WANTED, DRAINING) || self.turns(AGAIN, ENDING);
    }

    /// Has it answer on, or anew when its end has begun; false when nothing of it is left.
    pub(super) fn want(&self) -> bool {
        // The end goes on beside this: each step may have just been taken by it.
        while !self.is_over() {
            let wish = self.wish.load(Ordering::SeqCst);
            if matches!(wish, WANTED | AGAIN) || self.turns(DRAINING, WANTED) || self.turns(ENDING, AGAIN) {
                return true;
            }
        }
        false
    }

    /// Whether its end begins: it is to end, has answered its requests, and nobody wanted it on meanwhile.
    fn ends(&self) -> bool {
        if !self.is_stopping() {
            return false;
        }
        self.wait_for_requests();
        let _ = self.turns(DRAINING, ENDING);
        self.is_stopping()
    }

    /// Waits until it has ended.
    pub(super) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that panicked has ended as well.
        let _ = thread.map(JoinHandle::join);
    }

    /// Changes what is shown, and tells of it when that is something else than before.
    fn change(&self, change: impl FnOnce(&mut Answering)) {
        let now = {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shown.clone();
            change(&mut shown);
            let same = (before.standing, &before.endpoint, before.crashes) == (shown.standing, &shown.endpoint, shown.crashes);
            if same { None } else { Some(shown.clone()) }
        };
        if let Some(now) = now {
            (self.ground.changed)(&now);
        }
    }

    fn live(&self, port: Option<u16>) {
        loop {
            match &self.ground.serves {
                Serves::Command(argv) => self.tend(argv, port),
                Serves::Url(address) => self.ask(address.at(&self.ground.model, self.arm.version).trim_end_matches('/')),
            }
            // Between two lives of a program there are no requests to wait for.
            if !self.ends() {
                continue;
            }
            self.change(|shown| shown.standing = Standing::Stopping);
            if self.forget.load(Ordering::SeqCst) {
                // What is left of its files is overwritten when the version comes again.
                let _ = files::forget(&self.ground.runs(), &self.arm);
            }
            if self.turns(ENDING, OVER) {
                return;
            }
            self.change(|shown| (shown.standing, shown.why) = (Standing::Starting, None));
            self.turns(AGAIN, WANTED);
        }
    }

    /// Has a program answer until it is not wanted any more.
    fn tend(&self, argv: &[String], mut port: Option<u16>) {
        let (mut wait, mut in_vain) = (FIRST_WAIT, 0);
        while !self.is_stopping() {
            let dir = match self.files() {
                Ok(dir) => dir,
                Err(e) => {
                    self.change(|shown| (shown.standing, shown.why) = (Standing::Failed, Some(e.to_string())));
                    self.sleep(LONGEST_WAIT);
                    continue;
                }
            };
            let life = self.run(argv, &dir, &mut port);
            if self.is_stopping() {
                break;
            }
            let life = life.unwrap_or_else(|e| Life { ready_for: None, why: e.to_string() });
            if life.ready_for.is_some_and(|time| time >= STEADY) {
                wait = FIRST_WAIT;
            }
            in_vain = if life.ready_for.is_some() { 0 } else { in_vain + 1 };
            self.change(|shown| {
                shown.crashes += 1;
                shown.standing = if in_vain >= HOPELESS { Standing::Failed } else { Standing::Starting };
                shown.why = Some(life.why);
            });
            self.sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Asks a version that runs elsewhere until it is ready; from then on its health is the proxy's matter.
    fn ask(&self, endpoint: &str) {
        self.change(|shown| shown.endpoint = Some(endpoint.to_owned()));
        let mut ready = false;
        while !self.ends() {
            ready = ready || self.probe(endpoint);
            self.sleep(if ready { TICK } else { TICK * 5 });
        }
    }

    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() && Instant::now() < until {
            std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn files(&self) -> Result<PathBuf> {
        match files::present(&self.ground.runs(), &self.arm) {
            Some(dir) => Ok(dir),
            None => (self.ground.fetch)(&self.arm),
        }
    }

    /// One life of the program, from its start to its end.
    fn run(&self, argv: &[String], dir: &Path, port: &mut Option<u16>) -> Result<Life> {
        let at = free_port(*port)?;
        *port = Some(at);
        let endpoint = format!("http://127.0.0.1:{at}");
        let mut running = self.program(argv, dir, at).start()?;
        let mut log = Log::open(&self.ground.log(self.arm.version))?;
        self.change(|shown| {
            shown.endpoint = Some(endpoint.clone());
            if shown.standing != Standing::Failed {
                shown.standing = Standing::Starting;
            }
        });
        let mut ready = None;
        loop {
            if watch(&mut running, &mut log, TICK)? {
                break;
            }
            if self.ends() {
                running.close_input();
                // One that does not come to an end is killed when it is dropped.
                watch(&mut running, &mut log, worker::GRACE + Duration::from_secs(2))?;
                break;
            }
            if ready.is_none() {
                self.change(|shown| shown.log = log.lines());
                ready = self.probe(&endpoint).then(Instant::now);
            }
        }
        let said = running.stderr();
        drop(running);
        // The process that tends it may have been killed without it.
        leftover::end(&[self.ground.mark(), format!("KF_VERSION={}", self.arm.version)]);
        self.change(|shown| shown.log = log.lines());
        let why = said.lines().last().unwrap_or("the process that tends it ended").to_owned();
        Ok(Life { ready_for: ready.map(|since: Instant| since.elapsed()), why })
    }

    fn program(&self, argv: &[String], dir: &Path, port: u16) -> Program {
        let ground = &self.ground;
        let program = worker::tended(&ground.kf, argv).dir(&ground.root);
        let program = ground.hidden.iter().fold(program, |program, name| program.unset(name));
        program
            .env("PORT", port.to_string())
            .env("KF_MODEL", ground.model.as_str())
            .env("KF_VERSION", self.arm.version.to_string())
            .env("KF_VERSION_DIR", dir)
            .env(MARK, ground.mark_value())
    }

    /// Whether it says that it can take traffic; why not is shown.
    fn probe(&self, endpoint: &str) -> bool {
        let path = &self.ground.ready;
        match self.probed(&format!("{endpoint}{path}")) {
            Ok(()) => {
                self.change(|shown| {
                    shown.standing = Standing::Ready;
                    shown.why = None;
                });
                true
            }
            Err(e) => {
                self.change(|shown| shown.why = Some(ellipsis(&e.to_string(), 300)));
                false
            }
        }
    }

    fn probed(&self, url: &str) -> Result<()> {
        let answered = block_on(self.http.send(&Request::get(url)?))?;
        let Err(e) = answered else { return Ok(()) };
        if e.cause::<Refused>().is_some_and(|refused| refused.status == 404) {
            let (target, path) = (&self.ground.target, &self.ground.ready);
            return Err(Error::new(format!(
                "it answers 404 to `{path}`: set `target.{target}.ready` to a path that answers 2xx"
            )));
        }
        Err(e).context(|| "it does not say yet that it is ready")
    }

    /// Waits until it has answered its requests, at most as long as they may take, or is wanted on.
    fn wait_for_requests(&self) {
        let until = Instant::now() + self.ground.drain;
        let drains = || self.wish.load(Ordering::SeqCst) == DRAINING && (self.ground.active)(self.arm.version) > 0;
        while drains() && Instant::now() < until {
            std::thread::sleep(TICK / 4);
        }
    }
}

/// Takes what the program writes for some time; true when it has ended.
fn watch(running: &mut Running, log: &mut Log, time: Duration) -> Result<bool> {
    let until = Instant::now() + time;
    loop {
        match running.next_before(Some(until))? {
            Some(Event::Ended(_)) => return Ok(true),
            Some(Event::Stdout(bytes)) => log.take(&bytes),
            None => return Ok(false),
        }
        // A program that never stops writing must not keep its thread from looking up.
        if Instant::now() >= until {
            return Ok(false);
        }
    }
}

/// A port of this machine where nobody listens: the one before, when that is still so.
fn free_port(before: Option<u16>) -> Result<u16> {
    let bind = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).and_then(|l| l.local_addr());
    let address = before.map_or_else(|| bind(0), |port| bind(port).or_else(|_| bind(0)));
    address.map(|address| address.port()).context(|| "there is no free port on 127.0.0.1")
}
