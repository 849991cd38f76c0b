//! Spawners that are broken on purpose, each caught by the check that was made for it. A check that
//! catches none of them would be one that nobody can trust.

#[path = "../memory/mod.rs"]
mod memory;

mod broken;
mod factory;
mod flaw;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spawner_core::conformance::{Backend, Behaviour, Check, Probe, Recipe, Verdict};
use spawner_core::{BackendSetup, ServerId, SpawnerFactory, UserOptions};

use factory::BrokenFactory;
use flaw::Flaw;
use memory::{Memory, MemoryFactory, setup};

/// A world with a spawner that has one flaw.
struct Flawed {
    memory: Memory,
    flaw: Flaw,
}

impl Flawed {
    fn broken(&self, setup: BackendSetup) -> BrokenFactory {
        let world = Arc::clone(&self.memory.world);
        BrokenFactory::new(MemoryFactory { world, setup }, self.flaw)
    }
}

#[async_trait]
impl Backend for Flawed {
    async fn set_up() -> Self {
        unreachable!("the tests make it with the flaw that they are about")
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        Arc::new(self.broken(setup()))
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        let mut setup = setup();
        change(&mut setup);
        Some(Arc::new(self.broken(setup)))
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        if self.flaw == Flaw::TheCensusIsBlind {
            return Vec::new();
        }
        self.memory.census(server).await
    }

    fn behave(&self, behaviour: Behaviour, probe: &Probe) -> Option<Recipe> {
        self.memory.behave(behaviour, probe)
    }

    async fn sever(&self) -> bool {
        self.memory.sever().await
    }

    async fn mend(&self) {
        self.memory.mend().await;
    }

    fn knows_listeners(&self) -> bool {
        self.memory.knows_listeners()
    }

    fn hostile(&self) -> Vec<UserOptions> {
        self.memory.hostile()
    }

    fn patience(&self) -> Duration {
        match self.flaw {
            // What it leaves is waited for, in vain.
            Flaw::SavedTooLate | Flaw::MarkedTooLate => Duration::from_secs(5),
            _ => self.memory.patience(),
        }
    }
}

/// Runs the check that was made for a flaw. What it says has to be about this flaw, lest it was
/// something else that it stumbled over.
fn is_caught(flaw: Flaw, by: &str, saying: &str) {
    let check = Check::all()
        .iter()
        .find(|check| check.to_string() == by)
        .unwrap_or_else(|| panic!("there is no check {by}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let verdict = runtime.block_on(async {
        let memory = Memory::set_up().await;
        let backend = Arc::new(Flawed { memory, flaw });
        check.run(backend, Probe::new([])).await
    });
    runtime.shutdown_background();
    let Verdict::Failed(message) = verdict else {
        panic!("{flaw:?} was not caught by {by}: {verdict:?}")
    };
    println!("{flaw:?} is caught by {by}:\n{message}");
    assert!(message.contains(saying), "{by} says: {message}");
}

/// One test for each flaw, with the check that catches it and a part of what that says.
macro_rules! mutants {
    ($($flaw:ident, $by:literal, $saying:literal;)*) => {
        $(#[test]
        #[allow(non_snake_case, reason = "each test has the name of its flaw")]
        fn $flaw() {
            is_caught(Flaw::$flaw, $by, $saying);
        })*

        #[test]
        fn every_check_catches_one() {
            let caught_by = [$($by),*];
            for check in Check::all() {
                let check = check.to_string();
                assert!(caught_by.contains(&check.as_str()), "no flaw needs {check}");
            }
        }
    };
}

mutants! {
    CreateMakesAServer, "still::create_touches_nothing", "there is still";
    ListenOnMakesAServer, "still::questions_touch_nothing", "there is still";
    NeverStartedIsRunning, "still::never_started_is_exited", "poll said Running";
    NothingToStopIsAnError, "still::a_stop_of_nothing_is_ok", "never started failed";
    StateOfNothing, "still::nothing_is_saved_before_a_start", "null";
    TheCensusIsBlind, "life::the_census_sees_a_server", "found nothing";
    StartStartsNothing, "life::a_started_server_answers", "before the server answered";
    GracefulDoesNotWait, "life::a_graceful_stop_leaves_nothing", "there is still";
    NowOnlyAsks, "life::a_stop_now_leaves_nothing", "there is still";
    GracefulGivesUp, "life::a_deaf_server_is_ended", "there is still";
    StoppedTwiceIsAnError, "life::a_second_stop_is_ok", "stopped already failed";
    ChildrenAreLeft, "life::the_whole_tree_is_ended", "there is still";
    ChildrenOfTheDeadAreLeft, "life::what_a_dead_server_leaves_is_ended", "there is still";
    RunsOnce, "life::ten_runs_follow_each_other", "in run 2";
    HearsAtOnce, "life::the_owner_task_can_drive_it", "ended before it answered";
    CodeIsLost, "ends::an_exit_code_is_told", "exited with 3, and poll said Code(0)";
    SignalIsSuccess, "ends::a_signal_is_told", "poll said Code(0)";
    EndIsToldOnce, "ends::an_end_stays_told", "asked again, Unknown";
    EarlyExitIsSuccess, "ends::an_early_exit_is_noticed", "poll said Code(0)";
    PollForgets, "ends::polling_changes_nothing", "the state was";
    HearingTakesTheServer, "ends::hearing_can_be_given_up", "after exited was dropped";
    AwayIsGone, "ends::cannot_tell_is_not_gone", "poll said Exited(Unknown) instead of an error";
    AwayIsForgotten, "ends::cannot_tell_is_not_gone", "became";
    AwayIsStopped, "ends::a_stop_that_cannot_tell_is_an_error", "although the backend could not be reached";
    SplitsArguments, "launch::arguments_arrive_as_given", "and got";
    TrimsValues, "launch::the_environment_arrives_as_given", "was to be";
    InheritsAll, "launch::nothing_else_is_inherited", "the daemon's variable";
    ForgetsTheMarker, "launch::the_hubs_variables_arrive", "HUBD_LAUNCH_ID is not set";
    TokenInArgv, "launch::the_token_is_in_no_argv", "the token is in";
    TokenInDebug, "launch::the_token_is_shown_nowhere", "in the Debug";
    TokenInState, "launch::the_token_is_shown_nowhere", "in get_state";
    TokenInProgress, "launch::the_token_is_shown_nowhere", "in the progress";
    TokenInLog, "launch::the_token_is_in_no_log", "was logged";
    LoadsNothing, "state::another_instance_takes_over", "after load_state, poll said Exited(Unknown)";
    StateIsSavedOnce, "state::a_state_survives_many_restarts", "after 1 restarts";
    DropEndsTheServer, "state::dropping_an_instance_loses_no_server", "does not answer";
    ClearClearsNothing, "state::a_cleared_state_is_empty", "get_state is";
    EmptyIsRefused, "state::an_empty_state_means_nothing_runs", "load_state refused";
    StateIsAName, "state::a_stale_state_harms_nobody", "poll still said Running";
    AnyVersionWillDo, "state::a_newer_state_is_refused", "of version 4294967295";
    GarbagePanics, "state::garbage_is_refused", "the spawner panicked";
    GarbageIsNothing, "state::garbage_is_refused", "load_state took";
    GarbageIsRunning, "state::garbage_is_refused", "poll said Running";
    UnknownFieldsAreRefused, "state::an_unknown_field_does_no_harm", "load_state refused";
    DroppedStartLeaks, "drop::a_dropped_start_leaves_nothing", "dropped at its await no. 1";
    SavedTooLate, "drop::a_crash_in_a_start_leaves_nothing_unknown", "after a crash of the daemon";
    StopForgets, "drop::a_dropped_stop_can_be_repeated", "dropped at its await no. 1";
    StopClearsTheState, "drop::a_dropped_stop_can_be_finished_by_another", "dropped at its await no. 1";
    NotYetPolledIsNotThere, "drop::a_cancelled_start_leaves_nothing", "there is still";
    SilentIsNotThere, "drop::a_start_that_times_out_leaves_nothing", "there is still";
    OneServerAUser, "names::two_servers_of_a_user_are_two", "poll said Exited(Unknown)";
    NamesAreFolded, "names::names_that_look_alike_are_apart", "poll said Exited(Unknown)";
    NamesAreCut, "names::a_long_name_is_taken_or_refused", "poll said Exited(Unknown)";
    ErrorsAreDumps, "failures::a_missing_program_is_a_sentence", "it is the Debug of something";
    FailedStartLeaks, "failures::a_failed_start_leaves_nothing", "there is still";
    CutsAtNul, "failures::what_cannot_be_passed_on_is_refused", "a NUL in an argument was neither";
    ShiftsTheEqualsSign, "failures::what_cannot_be_passed_on_is_refused", "a = in a name was neither";
    ChecksNothing, "failures::hostile_options_are_refused", "check_options took";
    TrustsTheForm, "failures::odd_options_are_survived", "the spawner panicked";
    WholeLog, "failures::the_log_tail_keeps_its_bound", "log_tail(0) gave 5 lines";
    RefusesNoLimit, "limits::what_is_not_set_is_not_refused", "no limit is configured";
    LimitsAreNotNamed, "limits::a_limit_is_kept_or_refused", "which knob it is";
    LimitsAreIgnored, "limits::a_limit_is_kept_or_refused", "the server could use";
    LimitsAreNotTold, "limits::a_limit_is_kept_or_refused", "MEM_LIMIT is None";
    OwnAddressIsTaken, "listener::its_own_address_is_its_own", "listens at http://127.0.0.1";
    StrangersAreWelcome, "listener::a_stranger_is_no_server", "said Ok(()), not AddressTaken";
    FindsWhatIsOver, "reap::nothing_is_found_where_nothing_is", "after a stop, reap found a run";
    FindsNothing, "reap::what_the_books_lost_is_found", "found the run of tee 0 times";
    FindsItsOwn, "reap::what_the_books_lost_is_found", "found the run of tee 0 times";
    FindsTheUser, "reap::what_the_books_lost_is_found", "took a run of tee:kit for one of tee";
    FindsAreEmpty, "reap::a_find_can_be_taken_up", "poll said Exited(Unknown)";
    FindsHaveNoAddress, "reap::a_find_can_be_taken_up", "does not say where";
    FindsAreEndedAlone, "reap::a_find_can_be_ended", "there is still";
    FindsTheLiving, "reap::what_a_dead_server_left_is_found", "0 times";
    FindsTheKnown, "reap::what_is_in_the_books_is_not_found", "with its only run in the books";
    KnowsByName, "reap::what_is_in_the_books_is_not_found", "with another run";
    FindsEverybodys, "reap::what_is_another_daemons_is_left_alone", "asked by another daemon";
    FindsAreEnded, "reap::looking_changes_nothing", "0 times";
    MarkedTooLate, "reap::a_crash_in_a_start_is_found", "dropped at its await no. 1";
    AwayIsNothing, "reap::cannot_tell_is_not_nothing", "found 0 runs instead of an error";
    SaysReady, "progress::only_the_hub_says_ready", "99 % or more";
    ReportsForEver, "progress::progress_ends_with_the_start", "after start had returned";
}
