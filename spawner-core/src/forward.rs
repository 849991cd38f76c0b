//! The one macro that hands methods of a spawner to another one.
//!
//! A method that is forgotten still compiles, because the trait has defaults. So both uses name
//! what they forward from one list here, and the spy test in [`layer`](crate::layer) calls every
//! method through a box and through a layer.

/// Writes `#[async_trait] impl Spawner for ...` with the named methods forwarded and the rest given
/// in `own`.
///
/// The methods are collected first and emitted as one impl, because `async_trait` has to see them
/// spelled out.
macro_rules! forward_spawner {
    (
        impl [$($generics:tt)*] Spawner for $target:ty, by $get:ident / $get_mut:ident;
        forward [$($name:ident)*];
        own { $($own:tt)* }
    ) => {
        $crate::forward::forward_spawner! {
            @collect [$($generics)*] [$target] [$get $get_mut] { $($own)* } $($name)*
        }
    };

    (@collect [$($generics:tt)*] [$target:ty] [$get:ident $get_mut:ident] { $($done:tt)* }) => {
        #[async_trait::async_trait]
        impl<$($generics)*> $crate::Spawner for $target {
            $($done)*
        }
    };

    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } config $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn config(&self) -> &$crate::SpawnerConfig {
                self.$get().config()
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } start $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn start(
                &mut self,
                launch: $crate::Launch,
            ) -> Result<$crate::Endpoint, $crate::SpawnError> {
                self.$get_mut().start(launch).await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } stop $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn stop(&mut self, mode: $crate::StopMode) -> Result<(), $crate::SpawnError> {
                self.$get_mut().stop(mode).await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } poll $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn poll(&mut self) -> Result<$crate::PollStatus, $crate::SpawnError> {
                self.$get_mut().poll().await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } exited $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn exited(&mut self) -> $crate::ExitStatus {
                self.$get_mut().exited().await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } listen_on $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn listen_on(
                &mut self,
                ctx: &$crate::SpawnContext,
            ) -> Result<$crate::ListenOn, $crate::SpawnError> {
                self.$get_mut().listen_on(ctx).await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } endpoint $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn endpoint(&mut self) -> Result<Option<$crate::Endpoint>, $crate::SpawnError> {
                self.$get_mut().endpoint().await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } check_listener $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn check_listener(
                &mut self,
                endpoint: &$crate::Endpoint,
            ) -> Result<(), $crate::SpawnError> {
                self.$get_mut().check_listener(endpoint).await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } get_env $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn get_env(&self, ctx: &$crate::SpawnContext) -> $crate::Env {
                self.$get().get_env(ctx)
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } get_args $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn get_args(&self, ctx: &$crate::SpawnContext) -> Vec<String> {
                self.$get().get_args(ctx)
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } get_state $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn get_state(&self) -> $crate::SpawnerState {
                self.$get().get_state()
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } load_state $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn load_state(
                &mut self,
                state: &$crate::SpawnerState,
            ) -> Result<(), $crate::StateError> {
                self.$get_mut().load_state(state)
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } clear_state $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn clear_state(&mut self) {
                self.$get_mut().clear_state();
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } options_form $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn options_form(
                &self,
                ctx: &$crate::FormContext,
            ) -> Result<$crate::OptionsForm, $crate::SpawnError> {
                self.$get().options_form(ctx).await
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } options_from_form $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn options_from_form(
                &self,
                form: $crate::FormData,
            ) -> Result<$crate::UserOptions, $crate::OptionsError> {
                self.$get().options_from_form(form)
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } check_options $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn check_options(
                &self,
                options: &$crate::UserOptions,
            ) -> Result<(), $crate::OptionsError> {
                self.$get().check_options(options)
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } check_limits $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            fn check_limits(&self) -> Result<(), $crate::SpawnError> {
                self.$get().check_limits()
            }
        } $($rest)* }
    };
    (@collect $g:tt $t:tt [$get:ident $get_mut:ident] { $($done:tt)* } log_tail $($rest:ident)*) => {
        $crate::forward::forward_spawner! { @collect $g $t [$get $get_mut] { $($done)*
            async fn log_tail(&self, lines: usize) -> Vec<String> {
                self.$get().log_tail(lines).await
            }
        } $($rest)* }
    };
}

pub(crate) use forward_spawner;

// The working type of the daemon: a boxed spawner is a spawner.
forward_spawner! {
    impl [S: crate::Spawner + ?Sized] Spawner for Box<S>, by as_ref / as_mut;
    forward [
        config start stop poll exited listen_on endpoint check_listener get_env get_args
        get_state load_state clear_state options_form options_from_form check_options check_limits log_tail
    ];
    own {}
}
