//! What can be wrong with a spawner.

/// One thing that is wrong; all else is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// `create` makes the server.
    CreateMakesAServer,
    /// `listen_on` makes a server to find out where it listens.
    ListenOnMakesAServer,
    /// `poll` says `Running` of a server that was never started.
    NeverStartedIsRunning,
    /// `stop` is an error when there is nothing to stop.
    NothingToStopIsAnError,
    /// `get_state` holds a null when nothing runs.
    StateOfNothing,
    /// The backend's census sees nothing. Not a flaw of the spawner, but of its kit.
    TheCensusIsBlind,
    /// `start` returns an endpoint and makes no server.
    StartStartsNothing,
    /// A graceful stop asks the server to end and returns.
    GracefulDoesNotWait,
    /// `stop(Now)` asks the server to end and returns.
    NowOnlyAsks,
    /// A graceful stop is `Ok` when the server does not listen to reason.
    GracefulGivesUp,
    /// `stop` is an error when the server was stopped before.
    StoppedTwiceIsAnError,
    /// `stop` ends the server alone.
    ChildrenAreLeft,
    /// `stop` of a server that has ended leaves what it started.
    ChildrenOfTheDeadAreLeft,
    /// `start` works once.
    RunsOnce,
    /// `exited` says at once that the server has ended.
    HearsAtOnce,
    /// `poll` says `Code(0)` whatever the code was.
    CodeIsLost,
    /// `poll` says `Code(0)` of a server that was killed.
    SignalIsSuccess,
    /// `poll` gives the status away to whoever asks first.
    EndIsToldOnce,
    /// `poll` says `Code(0)` of a server that ended before it listened.
    EarlyExitIsSuccess,
    /// `poll` forgets a server that has ended.
    PollForgets,
    /// `exited` takes the server out and puts it back at the end.
    HearingTakesTheServer,
    /// `poll` says `Exited` when the backend cannot be reached.
    AwayIsGone,
    /// `poll` is an error when the backend cannot be reached, and forgets the server.
    AwayIsForgotten,
    /// `stop` is `Ok` when the backend cannot be reached.
    AwayIsStopped,
    /// Arguments are joined and split again.
    SplitsArguments,
    /// Values of the environment are trimmed.
    TrimsValues,
    /// The daemon's environment is passed on.
    InheritsAll,
    /// `get_env` is overridden and leaves the launch id out.
    ForgetsTheMarker,
    /// The token is an argument.
    TokenInArgv,
    /// `Debug` shows the environment.
    TokenInDebug,
    /// The token is saved.
    TokenInState,
    /// The token is reported.
    TokenInProgress,
    /// The token is logged.
    TokenInLog,
    /// `load_state` does nothing.
    LoadsNothing,
    /// `get_state` knows only a server that this instance started.
    StateIsSavedOnce,
    /// The server ends with its instance, and `Backend::outlives` does not say so.
    DropEndsTheServer,
    /// `clear_state` does nothing.
    ClearClearsNothing,
    /// `load_state` refuses an empty state.
    EmptyIsRefused,
    /// `load_state` looks for a server by its name.
    StateIsAName,
    /// `load_state` reads a state of any version.
    AnyVersionWillDo,
    /// `load_state` panics on what it does not understand.
    GarbagePanics,
    /// `load_state` takes what it does not understand for an empty state.
    GarbageIsNothing,
    /// `load_state` takes any number for a server that runs.
    GarbageIsRunning,
    /// `load_state` refuses a state with one more field.
    UnknownFieldsAreRefused,
    /// `start` awaits before it puts into `self` what it made.
    DroppedStartLeaks,
    /// `start` makes the server and saves its state afterwards.
    SavedTooLate,
    /// `stop` takes the server out of `self` and then ends it.
    StopForgets,
    /// `stop` clears the state and then ends the server.
    StopClearsTheState,
    /// `stop` ends only a server that was seen running.
    NotYetPolledIsNotThere,
    /// `stop` takes a server that does not answer for one that is gone.
    SilentIsNotThere,
    /// A start removes another server of the same user.
    OneServerAUser,
    /// Names differ in letters and digits only.
    NamesAreFolded,
    /// Names are cut at 63 characters.
    NamesAreCut,
    /// The error of a start is the Debug of its cause.
    ErrorsAreDumps,
    /// A start that fails leaves what it made.
    FailedStartLeaks,
    /// Arguments end at a NUL.
    CutsAtNul,
    /// A variable named `A=B` becomes one named `A`.
    ShiftsTheEqualsSign,
    /// `check_options` takes everything.
    ChecksNothing,
    /// `options_from_form` takes for granted what the form has.
    TrustsTheForm,
    /// `log_tail` gives all lines.
    WholeLog,
    /// `check_limits` refuses although no limit is set.
    RefusesNoLimit,
    /// `check_limits` refuses without a name.
    LimitsAreNotNamed,
    /// `check_limits` takes limits that nothing enforces.
    LimitsAreIgnored,
    /// `get_env` leaves the limits out that it takes.
    LimitsAreNotTold,
    /// `check_listener` knows only servers that this instance started.
    OwnAddressIsTaken,
    /// `check_listener` looks at nothing.
    StrangersAreWelcome,
    /// `reap` finds runs that are over.
    FindsWhatIsOver,
    /// `reap` finds nothing.
    FindsNothing,
    /// `reap` finds only what the same factory has made.
    FindsItsOwn,
    /// `reap` takes each run for one of the user's default server.
    FindsTheUser,
    /// The state of a find is empty.
    FindsAreEmpty,
    /// `endpoint` knows only servers that this instance started.
    FindsHaveNoAddress,
    /// `stop` ends a server that was found alone.
    FindsAreEndedAlone,
    /// `reap` finds only servers that run.
    FindsTheLiving,
    /// `reap` finds what is in the books.
    FindsTheKnown,
    /// `reap` finds no run of a server that has one in the books.
    KnowsByName,
    /// `reap` finds what another daemon made.
    FindsEverybodys,
    /// `reap` ends what it finds.
    FindsAreEnded,
    /// A server is marked with its launch id when it runs already.
    MarkedTooLate,
    /// `reap` finds nothing while the backend is away.
    AwayIsNothing,
    /// `start` reports 100 %.
    SaysReady,
    /// The launch is kept, and reported to later.
    ReportsForEver,
}
