//! The list of all checks, the rule behind each, and what is made of it: a table and values.

use super::check::Check;
use super::checks;

/// Hands the list of all checks to a macro. A check that is not in it is dead code and does not
/// compile; one that is in it has a test, a row in the table and a place in [`Check::all`].
#[doc(hidden)]
#[macro_export]
macro_rules! __every_check {
    ($($then:tt)+) => {
        $($then)+! {
            still {
                create_touches_nothing {
                    "`SpawnerFactory::create` touches nothing in the world.",
                    "the hub calls it for every server that it looks at, most of which nobody starts."
                }
                questions_touch_nothing {
                    "Only `Spawner::start` makes anything; the forms, `listen_on`, `get_env`, `get_args`, `poll` and `log_tail` do not.",
                    "a start can be refused after they were asked, and then no stop follows."
                }
                never_started_is_exited {
                    "`Spawner::poll` of a server that was never started is `Exited(Unknown)`.",
                    "a hub would show a server that nobody started, or wait for a backend that is not away."
                }
                a_stop_of_nothing_is_ok {
                    "`Spawner::stop` is `Ok` when there is nothing to end.",
                    "a stop follows every start, also one that failed before it made anything; an error is tried again for ever."
                }
                nothing_is_saved_before_a_start {
                    "`Spawner::get_state` is empty when nothing runs.",
                    "after a restart the hub would look for a server that never was."
                }
            }
            life {
                the_census_sees_a_server {
                    "`Backend::census` lists what there is of a server.",
                    "a census that is blind passes every check that looks for leftovers."
                }
                a_started_server_answers {
                    "When `Spawner::start` returns, the server is there: `poll` says `Running`, and it will answer at the endpoint.",
                    "the hub takes an early `Exited` for a failed start, and routes the user to the endpoint."
                }
                a_graceful_stop_leaves_nothing {
                    "`Spawner::stop` returns when the server is gone.",
                    "the hub forgets the run then; what is left has no owner, and the next start makes a second server."
                }
                a_stop_now_leaves_nothing {
                    "`stop(Now)` ends a server that does not listen to reason, and returns when it is gone.",
                    "it is the hub's last resort, also after a start that was cancelled or failed."
                }
                a_deaf_server_is_ended {
                    "A graceful stop is polite first and ends the server in any case.",
                    "a notebook that ignores signals would keep its user from ever starting another."
                }
                a_second_stop_is_ok {
                    "`Spawner::stop` of a server that was stopped is `Ok`.",
                    "a stop is repeated whenever the hub cannot know that the last one was carried out, and an error is tried again for ever."
                }
                the_whole_tree_is_ended {
                    "`Spawner::stop` ends the server with everything it started.",
                    "kernels are processes of their own; those that outlive their server fill the machine."
                }
                what_a_dead_server_leaves_is_ended {
                    "`Spawner::stop` is called after an end that was noticed, too, and clears what the server left.",
                    "a server that crashes does not take its kernels along."
                }
                ten_runs_follow_each_other {
                    "An instance goes through many runs: start, stop, `clear_state`, and again.",
                    "it lives as long as the hub knows the server."
                }
                the_owner_task_can_drive_it {
                    "Under `supervise` a run starts, is stopped, and an end is noticed once.",
                    "that is how a hub uses it: between two calls, `exited` is asked and dropped all the time."
                }
            }
            ends {
                an_exit_code_is_told {
                    "`Spawner::poll` says `Exited(Code(n))` of a server that exited with n, or `Unknown` if nothing tells.",
                    "0 is an end as well, and a wrong code sends whoever looks for the cause astray."
                }
                a_signal_is_told {
                    "An end by a signal is `Signal`, a code above 128, or `Unknown`.",
                    "a server that was killed did not exit by itself."
                }
                an_end_stays_told {
                    "`Spawner::poll` and `exited` say the same of one end, however often they are asked.",
                    "the hub asks for the record, for the page and for its callbacks, not just once."
                }
                an_early_exit_is_noticed {
                    "A server that ends before it listens has ended: `poll` says so, or `start` fails.",
                    "the user would wait for `http_timeout` instead of reading why it ended."
                }
                polling_changes_nothing {
                    "`Spawner::poll` changes nothing, whatever the answer.",
                    "the state is still needed: the stop that follows an end clears what is left by it."
                }
                hearing_can_be_given_up {
                    "`Spawner::exited` is cancel-safe and resolves only when the server has ended.",
                    "the owner task drops it for every other request and asks again."
                }
                cannot_tell_is_not_gone {
                    "`Spawner::poll` is an `Err` while the backend cannot be reached, and the state is kept.",
                    "`Exited` would make the hub strike a living server from its books and start a second one."
                }
                a_stop_that_cannot_tell_is_an_error {
                    "`Spawner::stop` is an error if the server cannot be ended or that cannot be told.",
                    "`Ok` makes the hub forget the run while its server lives on."
                }
            }
            launch {
                arguments_arrive_as_given {
                    "`Launch::cmd` and `Launch::args` reach the server byte for byte, each as one argument.",
                    "an argument that is split or expanded is another one, and may be an attack."
                }
                the_environment_arrives_as_given {
                    "`Launch::env` reaches the server byte for byte.",
                    "what forms and configuration set is data and passes no shell."
                }
                nothing_else_is_inherited {
                    "`Launch::env` is the whole environment; nothing else of the daemon is inherited.",
                    "the daemon's environment holds its own secrets."
                }
                the_hubs_variables_arrive {
                    "The variables of the hub reach the server unless configuration sets them otherwise.",
                    "without them a server cannot log anybody in, and without the launch id it cannot be found after a crash."
                }
                the_token_is_in_no_argv {
                    "The server's token is in its environment and in no command line.",
                    "every user of a host can read every command line."
                }
                the_token_is_shown_nowhere {
                    "The token is in no `Debug`, in no state and in no progress message.",
                    "these are logged, stored as they are and shown on pages."
                }
                the_token_is_in_no_log {
                    "The token is not logged.",
                    "logs are read by more people than may use the server."
                }
            }
            state {
                another_instance_takes_over {
                    "`get_state`, through JSON, and `load_state` in another instance find the server again; loading changes nothing.",
                    "that is a restart of the hub, and servers outlive it."
                }
                a_state_survives_many_restarts {
                    "What `load_state` took up, `get_state` gives again.",
                    "the hub saves it again; what is lost on the way is lost at the next restart."
                }
                dropping_an_instance_loses_no_server {
                    "A server outlives its instance, or ends with it if `Backend::outlives` says so.",
                    "one that does neither runs on and can never be stopped."
                }
                a_cleared_state_is_empty {
                    "After `stop` and `clear_state`, `get_state` is empty and `poll` says `Exited`.",
                    "the hub would look for the last run after each restart."
                }
                an_empty_state_means_nothing_runs {
                    "`load_state` takes an empty state, which means that nothing runs.",
                    "it is what the books have of a start that came to nothing."
                }
                a_stale_state_harms_nobody {
                    "The state of a run that is over is `Exited`, and stopping it touches no other run.",
                    "names and numbers are given out again; to stop by them is to kill a stranger."
                }
                a_newer_state_is_refused {
                    "`load_state` refuses a layout newer than it knows, and leaves the server alone.",
                    "after a downgrade an admin has to look; a guess would lose the server."
                }
                garbage_is_refused {
                    "`load_state` refuses a state that it cannot have written, without a panic, and never takes it for a running server.",
                    "disks fail; that server then needs an admin, and all others go on."
                }
                an_unknown_field_does_no_harm {
                    "`load_state` passes over fields that it does not know.",
                    "only a new version number means that an older spawner cannot read a state."
                }
            }
            drop {
                a_dropped_start_leaves_nothing {
                    "`start` can be dropped at any await; the `stop(Now)` that follows finds whatever was made.",
                    "that is how a start is cancelled and how it times out. Put what you make into `self` before you await."
                }
                a_crash_in_a_start_leaves_nothing_unknown {
                    "Whatever `start` makes was saved before by `Launch::checkpoint`, or does not run yet.",
                    "a daemon that dies in between would leave a server that nobody knows, and start a second one."
                }
                a_dropped_stop_can_be_repeated {
                    "`stop` can be dropped at any await; a `stop(Now)` then carries it to its end.",
                    "that is how a user who does not want to wait pre-empts a graceful stop."
                }
                a_dropped_stop_can_be_finished_by_another {
                    "`stop` keeps the state until the server is gone.",
                    "a daemon that dies in a stop finishes it after its restart, from what was saved."
                }
                a_cancelled_start_leaves_nothing {
                    "A start that is cancelled while the server does not answer yet leaves nothing.",
                    "a user who cancels starts again, and must not get a second server."
                }
                a_start_that_times_out_leaves_nothing {
                    "A server that does not answer in time is ended.",
                    "its user was told that the start failed."
                }
            }
            names {
                two_servers_of_a_user_are_two {
                    "A user's servers have nothing to do with each other.",
                    "to stop one must not touch another."
                }
                names_that_look_alike_are_apart {
                    "Names of the backend's objects are injective in user and server.",
                    "users whose names fold into one would get each other's servers and data. `ServerId::object_name` is injective."
                }
                a_long_name_is_taken_or_refused {
                    "A name of 255 characters is taken as a whole, or its start fails.",
                    "names that are cut short fall together."
                }
            }
            failures {
                a_missing_program_is_a_sentence {
                    "The error of a start is one sentence for the user; the cause is its `source`.",
                    "it is shown on the page of somebody who cannot read a dump."
                }
                a_failed_start_leaves_nothing {
                    "A start that fails, and the stop that follows, leave nothing, and another start works.",
                    "the user will try again."
                }
                what_cannot_be_passed_on_is_refused {
                    "What no program can be given (a NUL, a `=` in a name) fails the start, with no value in the error.",
                    "text that is cut or shifted on the way passes checks as one thing and arrives as another."
                }
                hostile_options_are_refused {
                    "`Spawner::check_options` refuses what cannot be meant, and says what.",
                    "options of a REST body pass no form."
                }
                odd_options_are_survived {
                    "`options_from_form` and `check_options` take anything without a panic.",
                    "anybody who may start a server can send anything."
                }
                the_log_tail_keeps_its_bound {
                    "`Spawner::log_tail` gives at most as many lines as it was asked for.",
                    "they go into records and onto pages."
                }
            }
            limits {
                what_is_not_set_is_not_refused {
                    "`Spawner::check_limits` is `Ok` when no limit is set.",
                    "it is asked before every start."
                }
                a_limit_is_kept_or_refused {
                    "A limit that is set is enforced, or `Spawner::check_limits` refuses and names it.",
                    "an admin who reads it in the configuration relies on it, and so do all users of the host."
                }
            }
            listener {
                its_own_address_is_its_own {
                    "`Spawner::check_listener` is `Ok` where the server itself listens.",
                    "the hub would end a good server and start it again at another address."
                }
                a_stranger_is_no_server {
                    "`Spawner::check_listener` is an error of kind `AddressTaken` where somebody else listens.",
                    "the hub would send the user, with cookies, to whoever took the port."
                }
            }
            reap {
                nothing_is_found_where_nothing_is {
                    "`SpawnerFactory::reap` finds nothing where nothing runs.",
                    "the hub would show servers that are over, and try to end them."
                }
                what_the_books_lost_is_found {
                    "`reap` finds each run that is in the world and not in the books, with its server and launch id.",
                    "a server that nobody knows runs for ever, and its user starts a second one."
                }
                a_find_can_be_taken_up {
                    "`Found::state` is all that `load_state` needs, and `Spawner::endpoint` then says where the server is.",
                    "books that were lost must not cost anybody their work."
                }
                a_find_can_be_ended {
                    "`Found::end` leaves nothing, and can be repeated.",
                    "it is the other way to deal with what nobody owns."
                }
                what_a_dead_server_left_is_found {
                    "What is left of a run is found also if its server has ended.",
                    "kernels and stopped containers fill the machine as well."
                }
                what_is_in_the_books_is_not_found {
                    "A run among `known` is not found; which run it is, the launch id says.",
                    "its owner task has it already, and a server is to have one owner."
                }
                what_is_another_daemons_is_left_alone {
                    "What belongs to another `BackendSetup::instance` is not found.",
                    "two daemons on a host would end each other's servers."
                }
                looking_changes_nothing {
                    "`reap` only looks.",
                    "what to do with a find is the daemon's decision."
                }
                a_crash_in_a_start_is_found {
                    "Whatever `start` makes can be found by `reap` from the moment it runs.",
                    "a daemon can die at any moment, and its books can be lost with it."
                }
                cannot_tell_is_not_nothing {
                    "`reap` is an `Err` while the backend cannot be reached.",
                    "the hub asks again after an error, and never after it was told that nothing is there."
                }
            }
            progress {
                only_the_hub_says_ready {
                    "`Launch::report` is for the way there: a start that claims 99 or 100 % is not believed.",
                    "the server does not answer yet, and the user's bar would stand still at its end."
                }
                progress_ends_with_the_start {
                    "Nothing is reported after `start` has returned.",
                    "what follows is the hub's to tell."
                }
            }
        }
    };
}

/// The list as values, with the table in front.
macro_rules! list {
    ($($topic:ident { $($name:ident { $rule:literal, $why:literal })* })*) => {
        impl Check {
            /// Every check, in the order of this table:
            ///
            /// | topic | check | rule | why |
            /// |---|---|---|---|
            $($(#[doc = concat!(
                "| ", stringify!($topic), " | `", stringify!($name), "` | ", $rule, " | ", $why, " |"
            )])*)*
            pub fn all() -> &'static [Self] {
                &[$($(Self {
                    topic: stringify!($topic),
                    name: stringify!($name),
                    rule: $rule,
                    why: $why,
                    function: |bench| Box::pin(checks::$topic::$name(bench)),
                }),*),*]
            }
        }
    };
}

crate::__every_check! { list }
