use super::*;
use crate::base::version::Version;
use crate::domain::rollout::judge::Hold;
use crate::domain::rollout::plan::preset;
use proptest::prelude::*;

fn weight(percent: f64) -> Weight {
    Weight::from_percent(percent).expect("a weight")
}

fn window(id: u64, decision: Decision) -> Event {
    Event::Judged { id, seconds: 1800, decision, reason: "because".to_owned() }
}

/// A rollout that is driven by what is pending, as a controller does it.
struct Run {
    plan: Plan,
    state: State,
    windows: u64,
    weights: Vec<f64>,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let mut run = Self { plan, state: State::planned(), windows: 0, weights: Vec::new() };
        run.tell(&Event::Start);
        run
    }

    fn tell(&mut self, event: &Event) -> Move {
        let step = advance(&self.plan, &self.state, event).expect("an event that fits");
        self.state = step.state.clone();
        step
    }

    /// Does what is pending; windows get the decision. `false` when nothing is.
    fn act(&mut self, decision: Decision) -> bool {
        let Some(action) = pending(&self.plan, &self.state) else { return false };
        let event = match action {
            Action::SetWeight(weight) => {
                self.weights.push(weight.percent());
                Event::Observed(weight)
            }
            Action::Restore => Event::Observed(Weight::NONE),
            Action::Clear => Event::Cleared("refused: no".to_owned()),
            Action::Observe => {
                self.windows += 1;
                window(self.windows, decision)
            }
            _ => Event::Done,
        };
        self.tell(&event);
        true
    }

    fn until(&mut self, decision: Decision, wanted: Phase) {
        for _ in 0..1000 {
            if self.state.phase == wanted {
                return;
            }
            assert!(self.act(decision), "stuck in {:?}", self.state);
        }
        panic!("never in {wanted:?}: {:?}", self.state);
    }
}

fn four_hours() -> Run {
    Run::new(preset("four-hours").expect("a preset"))
}

#[test]
fn a_good_version_goes_through_all_steps_and_is_watched() {
    let mut run = four_hours();
    run.until(Decision::Ready, Phase::Monitoring);
    // One hour and three in windows of half an hour.
    assert_eq!((run.weights.clone(), run.windows), (vec![5.0, 20.0, 100.0], 2 + 6));
    run.until(Decision::Ready, Phase::Finished);
    assert_eq!(pending(&run.plan, &run.state), None);
}

#[test]
fn a_broken_limit_takes_it_back_from_every_phase_with_traffic() {
    for phase in [Phase::Observing, Phase::Scaling, Phase::Monitoring, Phase::Retiring] {
        let mut run = four_hours();
        run.until(Decision::Ready, Phase::Observing);
        if phase != Phase::Observing {
            run.until(Decision::Ready, phase);
        }
        let told = run.tell(&window(1000, Decision::RollBack));
        assert_eq!((told.notice, told.reason.as_str()), (Some(Notice::RollingBack), "because"), "{phase:?}");
        assert_eq!(pending(&run.plan, &run.state), Some(Action::Restore));
        run.until(Decision::Collect, Phase::RolledBack);
    }
}

#[test]
fn without_data_the_clock_stops_and_goes_on_by_itself() {
    let mut run = four_hours();
    run.until(Decision::Ready, Phase::Observing);
    let blind = Decision::Hold(Hold::NoData);
    assert_eq!(run.tell(&window(1, blind)).notice, Some(Notice::Held));
    for id in 2..100 {
        assert_eq!(run.tell(&window(id, blind)).notice, None);
    }
    assert_eq!((run.state.clock, run.state.spent, run.state.wants_a_person()), (0, 0, false));
    run.tell(&window(100, Decision::Collect));
    assert_eq!((run.state.clock, run.state.held), (1800, None));
    // The same window told again by a controller that died counts once.
    run.tell(&window(100, Decision::Collect));
    assert_eq!(run.state.clock, 1800);
}

#[test]
fn what_stays_open_is_never_promoted() {
    let mut run = four_hours();
    while run.state.held.is_none() {
        assert!(run.act(Decision::Collect));
    }
    assert_eq!((run.state.held, run.weights.clone(), run.windows), (Some(Held::Inconclusive), vec![5.0], 16));
    // A person may let it go on, and it is still being looked at.
    assert_eq!(pending(&run.plan, &run.state), Some(Action::Observe));
    run.tell(&Event::Resume);
    assert_eq!((run.state.held, run.state.spent), (None, 0));
    let plan = Plan { on_inconclusive: OnInconclusive::RollBack, ..run.plan };
    let mut run = Run::new(plan);
    run.until(Decision::Collect, Phase::RolledBack);
}

#[test]
fn approval_pause_and_promotion_are_orders_of_people() {
    let mut plan = preset("two-days").expect("a preset");
    plan.steps[0].approval = true;
    plan.steps[1].smoke = true;
    let mut run = Run::new(plan);
    run.until(Decision::Ready, Phase::AwaitingApproval);
    assert!(run.state.wants_a_person());
    run.act(Decision::Ready);
    assert_eq!(run.state.phase, Phase::AwaitingApproval);
    run.tell(&Event::Approve);
    run.until(Decision::Ready, Phase::Testing);
    assert_eq!(pending(&run.plan, &run.state), Some(Action::Test { smoke: true, load: false }));
    run.tell(&Event::Pause);
    assert_eq!(pending(&run.plan, &run.state), None);
    run.tell(&Event::Done);
    assert_eq!((run.state.phase, pending(&run.plan, &run.state)), (Phase::Shifting, None));
    // A weight that was on its way while it was paused is seen, and goes no further.
    run.tell(&Event::Observed(weight(20.0)));
    assert_eq!((run.state.phase, run.state.observed), (Phase::Shifting, weight(20.0)));
    run.tell(&Event::Resume);
    run.until(Decision::Collect, Phase::Observing);
    run.tell(&Event::Promote { full: true });
    run.until(Decision::Collect, Phase::Finished);
    assert_eq!(run.weights, [5.0, 20.0, 100.0]);
    assert_eq!(
        advance(&run.plan, &run.state, &Event::Abort("late".to_owned())).map_err(|r| r.0),
        Err("the rollout has ended: `retry` starts it again".to_owned())
    );
}

#[test]
fn errors_are_waited_out_and_then_held() {
    let mut run = four_hours();
    run.until(Decision::Ready, Phase::Observing);
    let error = Event::Error("no answer".to_owned());
    for _ in 0..4 {
        assert_eq!(run.tell(&error).notice, None);
    }
    assert_eq!((run.tell(&error).notice, run.state.held), (Some(Notice::Held), Some(Held::Errors)));
    assert_eq!(run.state.observed, weight(5.0));
    // On its way back nothing stops it.
    run.tell(&Event::Abort("enough".to_owned()));
    for _ in 0..50 {
        run.tell(&error);
        run.tell(&Event::Refused("no right".to_owned()));
    }
    assert_eq!(pending(&run.plan, &run.state), Some(Action::Restore));
}

#[test]
fn a_refusal_fails_before_traffic_and_takes_back_after() {
    let no = Event::Refused("never ready".to_owned());
    let mut run = four_hours();
    assert_eq!((run.tell(&no).notice, run.state.phase), (Some(Notice::Ended), Phase::Failed), "nothing was started");
    run.tell(&Event::Retry);
    run.until(Decision::Ready, Phase::WaitingReady);
    // What was started is stopped first, whatever anybody says meanwhile.
    assert_eq!((run.tell(&no).notice, run.state.phase), (None, Phase::Clearing));
    assert!(advance(&run.plan, &run.state, &Event::Pause).is_err());
    for event in [Event::Error("no answer".into()), no.clone(), Event::Done, window(1, Decision::Ready)] {
        (0..9).for_each(|_| drop(run.tell(&event)));
        assert_eq!(
            (run.state.phase, run.state.held, pending(&run.plan, &run.state)),
            (Phase::Clearing, None, Some(Action::Clear))
        );
    }
    let ended = run.tell(&Event::Cleared("refused: never ready".to_owned()));
    assert_eq!(
        (ended.notice, ended.reason.as_str(), run.state.phase),
        (Some(Notice::Ended), "refused: never ready", Phase::Failed)
    );
    run.tell(&Event::Retry);
    assert_eq!((run.state.phase, run.state.attempt), (Phase::Preflight, 3));
    run.until(Decision::Ready, Phase::Observing);
    run.until(Decision::Ready, Phase::WaitingReady);
    run.tell(&no);
    assert_eq!(run.state.phase, Phase::RollingBack);
}

/// Users are on the version that it leaves: neither a no nor an error gives that up, and a person may.
#[test]
fn a_way_back_is_never_given_up() {
    let (no, error) = (Event::Refused("no right".to_owned()), Event::Error("no answer".to_owned()));
    for phase in [Phase::Preflight, Phase::Scaling, Phase::WaitingReady, Phase::Shifting] {
        let mut run = Run::new(Plan::way_back());
        run.until(Decision::Ready, phase);
        for times in 1..50 {
            run.tell(if times % 2 == 0 { &no } else { &error });
            assert_eq!((run.state.phase, run.state.held, run.state.errors), (phase, None, times));
        }
        let aborted = advance(&run.plan, &run.state, &Event::Abort("enough".to_owned())).expect("an order").state;
        assert_eq!(pending(&run.plan, &aborted), Some(Action::Restore));
        run.until(Decision::Ready, Phase::Promoting);
        // They are served: what the registry refuses is a person's.
        assert_eq!((run.tell(&no).notice, run.state.held), (Some(Notice::Held), Some(Held::Refused)));
        run.tell(&Event::Resume);
        run.until(Decision::Ready, Phase::Finished);
    }
}

/// What does not stop keeps nobody waiting, and is not forgotten by whoever comes next.
#[test]
fn what_could_not_be_stopped_is_kept_and_keeps_nothing_open() {
    let error = Event::Error("no answer".to_owned());
    for plan in [preset("four-hours").expect("a preset"), Plan::way_back()] {
        let mut run = Run::new(plan);
        run.until(Decision::Ready, Phase::Retiring);
        (0..ERRORS).for_each(|_| drop(run.tell(&error)));
        assert_eq!(run.state.phase, Phase::Retiring);
        run.tell(&error);
        assert_eq!((run.state.phase, run.state.held), (Phase::Finished, None));
    }
    let arms = vec![Arm::untold(Version::new(1, 1, 0))];
    let mut run = four_hours();
    run.until(Decision::Ready, Phase::WaitingReady);
    run.tell(&Event::Refused("never ready".to_owned()));
    let told = run.tell(&Event::Left(arms.clone(), "it does not stop".to_owned()));
    assert_eq!((told.reason.as_str(), run.state.phase), ("it does not stop", Phase::Clearing));
    run.until(Decision::Ready, Phase::Failed);
    run.tell(&Event::Retry);
    assert_eq!(run.state.left, arms, "until it is stopped");
    let older = serde_json::to_string(&State::planned()).expect("JSON");
    assert!(!older.contains("left") && serde_json::from_str::<State>(&older).is_ok(), "{older}");
}

#[test]
fn drift_is_held_set_again_or_taken_back() {
    for (on_drift, phase, held) in [
        (OnDrift::Hold, Phase::Observing, Some(Held::Drift)),
        (OnDrift::Reassert, Phase::Shifting, None),
        (OnDrift::Abort, Phase::RollingBack, None),
    ] {
        let mut run = Run::new(Plan { on_drift, ..preset("ramp").expect("a preset") });
        run.until(Decision::Ready, Phase::Observing);
        run.tell(&Event::Observed(weight(5.0)));
        assert_eq!(run.state.held, None);
        run.tell(&Event::Observed(Weight::NONE));
        assert_eq!((run.state.phase, run.state.held), (phase, held), "{on_drift:?}");
        if held.is_some() {
            run.tell(&Event::Resume);
            assert_eq!(pending(&run.plan, &run.state), Some(Action::SetWeight(weight(5.0))), "or the next look holds it again");
        }
    }
}

#[test]
fn blue_green_tests_a_preview_and_switches_at_once() {
    let mut run = Run::new(Plan::blue_green(true));
    run.until(Decision::Ready, Phase::AwaitingApproval);
    assert_eq!((run.weights.clone(), pending(&run.plan, &run.state)), (vec![0.0], None));
    run.tell(&Event::Approve);
    run.until(Decision::Ready, Phase::Monitoring);
    assert_eq!((run.weights.clone(), run.windows), (vec![0.0, 100.0], 0));
    run.tell(&window(9, Decision::RollBack));
    run.until(Decision::Ready, Phase::RolledBack);
}

#[test]
fn who_is_in_doubt_at_the_end_is_watched_for_as_long_again() {
    let mut run = four_hours();
    run.plan.monitor = 3600;
    let doubted = |run: &mut Run, windows: usize| (0..windows).all(|_| run.act(Decision::Doubt));
    run.until(Decision::Ready, Phase::Monitoring);
    assert!(doubted(&mut run, 3));
    assert_eq!(
        (run.state.phase, run.state.held, run.state.clock),
        (Phase::Monitoring, None, 3 * 1800),
        "windows of half an hour"
    );
    let settled = advance(&run.plan, &run.state, &window(100, Decision::Ready)).expect("a window").state;
    assert_eq!(settled.phase, Phase::Retiring, "in the end it was chance");
    let few = advance(&run.plan, &run.state, &window(100, Decision::Collect)).expect("a window").state;
    assert_eq!(few.phase, Phase::Retiring, "nothing speaks against it");
    let strict = Plan { on_inconclusive: OnInconclusive::RollBack, ..run.plan.clone() };
    assert_eq!(advance(&strict, &run.state, &window(100, Decision::Doubt)).expect("a window").state.phase, Phase::RollingBack);

    assert!(doubted(&mut run, 1));
    assert_eq!((run.state.phase, run.state.held), (Phase::Monitoring, Some(Held::Inconclusive)));
    let kept = advance(&run.plan, &run.state, &Event::Promote { full: false }).expect("an order").state;
    assert_eq!((kept.phase, kept.held), (Phase::Retiring, None));
    run.tell(&Event::Resume);
    assert_eq!((run.state.phase, run.state.held, run.state.clock), (Phase::Monitoring, None, 0));
    assert!(doubted(&mut run, 3));
    assert_eq!((run.state.phase, run.state.held), (Phase::Monitoring, None));
    run.tell(&Event::Abort("enough".to_owned()));
    run.until(Decision::Doubt, Phase::RolledBack);
}

/// Copies of 10 %, then of all requests.
fn shadow() -> Run {
    let mut plan = Plan::shadow(weight(10.0), 3600);
    plan.steps.push(Step { approval: true, ..Step::new(Weight::FULL, 1800) });
    plan.max_duration = 4 * 3600;
    assert_eq!(plan.faults(), []);
    Run::new(plan)
}

#[test]
fn a_shadow_lasts_its_time_and_releases_nothing() {
    let mut run = shadow();
    run.until(Decision::Ready, Phase::AwaitingApproval);
    assert_eq!((run.weights.clone(), run.windows), (vec![10.0, 100.0], 2 + 1));
    for full in [false, true] {
        let refused = advance(&run.plan, &run.state, &Event::Promote { full }).expect_err("no").0;
        assert!(refused.contains("is not promoted"), "{refused}");
    }
    run.tell(&Event::Approve);
    assert_eq!((run.state.phase, pending(&run.plan, &run.state)), (Phase::Ending, Some(Action::Restore)));
    // What is on its way out stays so, and goes on until no copies are made.
    assert!(advance(&run.plan, &run.state, &Event::Pause).is_err());
    for event in
        [window(99, Decision::RollBack), Event::Taken("a fuse".into()), Event::Refused("no".into()), Event::Error("?".into())]
    {
        run.tell(&event);
        assert_eq!((run.state.phase, run.state.held), (Phase::Ending, None), "{event:?}");
    }
    let ended = run.tell(&Event::Observed(Weight::NONE));
    assert_eq!((ended.notice, run.state.phase, pending(&run.plan, &run.state)), (Some(Notice::Ended), Phase::Finished, None));
}

#[test]
fn a_shadow_that_breaks_a_limit_or_is_aborted_is_ended() {
    for event in [window(1, Decision::RollBack), Event::Abort("enough".into()), Event::Taken("a fuse".into())] {
        let mut run = shadow();
        run.until(Decision::Ready, Phase::Observing);
        run.tell(&event);
        assert_eq!(pending(&run.plan, &run.state), Some(Action::Restore), "{event:?}");
        run.until(Decision::Ready, Phase::RolledBack);
        run.tell(&Event::Retry);
        run.until(Decision::Ready, Phase::Observing);
    }
    // Without a decision it waits for a person, as a canary does.
    let mut run = shadow();
    while run.state.held.is_none() {
        assert!(run.act(Decision::Collect));
    }
    assert_eq!((run.state.held, run.state.observed), (Some(Held::Inconclusive), weight(10.0)));
}

/// What was never proven is not told as if it had been, and what could not be judged is no reason for a release.
#[test]
fn how_a_rollout_ends_without_a_proof_is_told() {
    for (on_inconclusive, phase, told) in [
        (OnInconclusive::Hold, Phase::Observing, "because; its time is over without a decision"),
        (
            OnInconclusive::RollBack,
            Phase::RollingBack,
            "because; its time is over without a decision, and then the plan takes it back (`on-inconclusive = \"rollback\"`)",
        ),
    ] {
        let mut run = Run::new(Plan { on_inconclusive, max_duration: 1800, ..four_hours().plan });
        run.until(Decision::Collect, Phase::Observing);
        let moved = run.tell(&window(1000, Decision::Collect));
        assert_eq!((run.state.phase, moved.reason.as_str()), (phase, told));
    }
    let mut run = four_hours();
    run.until(Decision::Ready, Phase::Monitoring);
    let windows = (0..100).map(|n| run.tell(&window(1000 + n, Decision::Collect)));
    let moved: Vec<Move> = windows.take_while(|m| m.state.phase != Phase::Finished).collect();
    let last = moved.iter().find(|m| m.state.phase == Phase::Retiring).expect("it ends");
    assert!(last.reason.starts_with("watched for ") && last.reason.ends_with(" s with data, and it broke no limit"), "{last:?}");
}

#[test]
fn a_shadow_whose_target_does_something_else_is_held_set_again_or_ended() {
    let astray = Event::Astray("users are sent to it".to_owned());
    for (on_drift, phase, held) in [
        (OnDrift::Hold, Phase::Observing, Some(Held::Drift)),
        (OnDrift::Reassert, Phase::Shifting, None),
        (OnDrift::Abort, Phase::RollingBack, None),
    ] {
        let mut run = Run::new(Plan { on_drift, ..shadow().plan });
        run.tell(&astray);
        assert_eq!(run.state.phase, Phase::Preflight, "nothing is set yet");
        run.until(Decision::Ready, Phase::Observing);
        let told = run.tell(&astray);
        assert_eq!(
            (run.state.phase, run.state.held, told.reason.as_str()),
            (phase, held, "users are sent to it"),
            "{on_drift:?}"
        );
    }
}

fn events() -> impl Strategy<Value = Event> {
    let decision = prop_oneof![
        Just(Decision::Ready),
        Just(Decision::Collect),
        Just(Decision::Doubt),
        Just(Decision::Hold(Hold::NoData)),
        Just(Decision::Hold(Hold::BothBroken)),
        Just(Decision::RollBack),
    ];
    prop_oneof![
        4 => Just(Event::Done),
        1 => Just(Event::Start),
        1 => Just(Event::Refused("no".to_owned())),
        1 => Just(Event::Error("no answer".to_owned())),
        4 => (0u64..50, decision).prop_map(|(id, decision)| window(id, decision)),
        4 => prop_oneof![Just(0.0), Just(5.0), Just(15.0), Just(100.0)].prop_map(|w| Event::Observed(weight(w))),
        1 => Just(Event::Taken("a fuse".to_owned())),
        1 => Just(Event::Astray("elsewhere".to_owned())),
        1 => Just(Event::Cleared("no".to_owned())),
        1 => Just(Event::Left(vec![Arm::untold(Version::new(1, 1, 0))], "it does not stop".to_owned())),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => Just(Event::Approve),
        1 => any::<bool>().prop_map(|full| Event::Promote { full }),
        1 => Just(Event::Abort("enough".to_owned())),
        1 => Just(Event::Retry),
    ]
}

/// The weight that a state asks for; what it shows while it asks for none.
fn asked(plan: &Plan, state: &State) -> Weight {
    match pending(plan, state) {
        Some(Action::SetWeight(weight)) => weight,
        _ => Weight::NONE,
    }
}

proptest! {
    /// Whatever comes in whatever order: more traffic is asked for only when the canary became ready in this step, nobody is
    /// moved by what nobody knows, and the way back is open. A shadow is never promoted, and nothing but a shadow just ends.
    #[test]
    fn any_events_keep_the_promises(events in proptest::collection::vec(events(), 0..80), approval: bool, shadow: bool, back: bool) {
        let back = back && !shadow;
        let mut plan = Plan { shadow, back, ..preset("ramp").expect("a preset") };
        plan.steps[1].approval = approval;
        let mut state = State { phase: Phase::Preflight, ..State::planned() };
        let mut ready = None;
        for event in events {
            let Ok(moved) = advance(&plan, &state, &event) else { continue };
            let after = moved.state;
            if state.phase == Phase::WaitingReady && event == Event::Done {
                ready = Some((after.attempt, after.step));
            }
            if asked(&plan, &after) > Weight::NONE {
                prop_assert_eq!(ready, Some((after.attempt, after.step)), "{:?}", after);
            }
            let unknown = matches!(event, Event::Error(_) | Event::Judged { decision: Decision::Hold(_), .. });
            prop_assert!(!unknown || (after.phase == state.phase && after.step == state.step));
            let breaks = matches!(event, Event::Judged { id, decision: Decision::RollBack, .. } if state.window.is_none_or(|w| id > w));
            let spared = state.observed == Weight::NONE || matches!(state.phase, Phase::Preflight | Phase::Ending);
            prop_assert!(!breaks || spared || after.phase == Phase::RollingBack);
            let released = matches!(after.phase, Phase::Promoting | Phase::Monitoring | Phase::Retiring);
            prop_assert!(if shadow { !released } else { after.phase != Phase::Ending }, "{:?}", after);
            let kept = after.phase == Phase::Finished && state.phase != Phase::Finished && shadow;
            prop_assert!(!kept || state.phase == Phase::Ending && after.observed == Weight::NONE);
            let taken = matches!(event, Event::Taken(_));
            prop_assert!(!taken || after.phase.leaves() && pending(&plan, &after) == Some(Action::Restore));
            // Nothing ends as failed before what was started is stopped, and no way back for what its target does.
            let failed = after.phase == Phase::Failed && state.phase != Phase::Failed;
            prop_assert!(!failed || state.phase == Phase::Clearing || state.phase == Phase::Preflight && !back);
            let no = matches!(event, Event::Refused(_) | Event::Error(_));
            prop_assert!(!(back && no) || state.phase == Phase::Retiring || after.phase == state.phase || state.phase == Phase::Testing);
            prop_assert!(after.left == state.left || matches!(event, Event::Left(..)));
            let ordered = matches!(event, Event::Promote { full: true } | Event::Retry);
            prop_assert!(ordered || after.step <= state.step + 1);
            if !after.phase.ended() {
                let back = advance(&plan, &after, &Event::Abort("enough".to_owned())).expect("always").state;
                prop_assert_eq!(pending(&plan, &back), Some(Action::Restore));
                let seen = advance(&plan, &back, &Event::Observed(Weight::NONE)).expect("seen").state;
                prop_assert_eq!(seen.phase, Phase::RolledBack);
            }
            state = after;
        }
    }

    /// A controller that died: what it wrote down asks for the same, and doing that once more changes nothing but the journal.
    #[test]
    fn a_state_that_was_written_down_asks_for_the_same(events in proptest::collection::vec(events(), 0..40)) {
        let plan = preset("four-hours").expect("a preset");
        let mut state = State { phase: Phase::Preflight, ..State::planned() };
        for event in events {
            let Ok(moved) = advance(&plan, &state, &event) else { continue };
            state = moved.state;
            let text = serde_json::to_string(&state).expect("JSON");
            let read: State = serde_json::from_str(&text).expect("a state");
            prop_assert_eq!(pending(&plan, &read), pending(&plan, &state));
            let again = advance(&plan, &read, &event);
            if matches!(event, Event::Judged { .. } | Event::Observed(_)) && let Ok(again) = again && !state.phase.ended() {
                prop_assert_eq!(again.state.step, state.step);
            }
        }
    }
}
