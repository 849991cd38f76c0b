//! What there is, and what can be done to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use spawner_core::conformance::{Behaviour, Ending, Program};
use spawner_core::{
    Endpoint, ExitStatus, LaunchId, PollStatus, ServerId, SpawnError, SpawnErrorKind,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// What a server is known by: never given twice.
pub type Number = u64;

/// Servers, living and dead.
#[derive(Debug, Default)]
pub struct World {
    servers: Mutex<Servers>,
    severed: AtomicBool,
}

#[derive(Debug, Default)]
struct Servers {
    last: Number,
    all: BTreeMap<Number, Server>,
    /// Ends all of them with the world.
    tasks: JoinSet<()>,
}

/// What is written on a server.
#[derive(Debug, Clone)]
pub struct Tag {
    pub whose: ServerId,
    /// Whose daemon made it.
    pub instance: String,
    pub launch_id: Option<LaunchId>,
    /// Where it is reached.
    pub endpoint: Option<Endpoint>,
    /// Whether it ever listens there.
    pub listens: bool,
}

#[derive(Debug)]
struct Server {
    tag: Tag,
    /// The server that started this one, if one did.
    parent: Option<Number>,
    /// The polite request to end.
    asked: Arc<Notify>,
    killed: Arc<Notify>,
    /// How it ended.
    status: watch::Receiver<Option<ExitStatus>>,
}

impl World {
    /// Cuts all spawners off, or undoes that.
    pub fn reachable(&self, reachable: bool) {
        self.severed.store(!reachable, Ordering::Relaxed);
    }

    /// Whether the world can be asked, as every call of a spawner has to know first.
    pub fn reach(&self) -> Result<(), SpawnError> {
        if self.severed.load(Ordering::Relaxed) {
            let message = "The world cannot be reached.";
            return Err(SpawnError::new(SpawnErrorKind::Unavailable, message));
        }
        Ok(())
    }

    pub fn census(&self, whose: &ServerId) -> Vec<String> {
        let servers = self.lock();
        let theirs = servers.all.iter().filter(|(_, s)| s.tag.whose == *whose);
        theirs
            .map(|(number, server)| {
                format!("server {number}, ended: {:?}", *server.status.borrow())
            })
            .collect()
    }

    /// The living server with the highest number that `which` is true of.
    pub fn find(&self, which: impl Fn(&ServerId) -> bool) -> Option<Number> {
        let servers = self.lock();
        let mut newest_first = servers.all.iter().rev();
        newest_first
            .find(|(_, server)| server.parent.is_none() && which(&server.tag.whose))
            .map(|(number, _)| *number)
    }

    /// Every server that no other one started, living or dead, and what is written on it.
    pub fn runs(&self) -> Vec<(Number, Tag)> {
        let servers = self.lock();
        let runs = servers.all.iter().filter(|(_, s)| s.parent.is_none());
        runs.map(|(number, server)| (*number, server.tag.clone()))
            .collect()
    }

    /// What is written on a server.
    pub fn tag(&self, number: Number) -> Option<Tag> {
        Some(self.lock().all.get(&number)?.tag.clone())
    }

    /// Writes on a server what was not there before.
    pub fn mark(&self, number: Number, launch_id: LaunchId) {
        if let Some(server) = self.lock().all.get_mut(&number) {
            server.tag.launch_id = Some(launch_id);
        }
    }

    /// A number for a server that is about to be made.
    pub fn reserve(&self) -> Number {
        let mut servers = self.lock();
        servers.last += 1;
        servers.last
    }

    /// Makes the server `number`, and the second one of a family.
    pub fn run(&self, number: Number, tag: Tag, program: Program) {
        if program.behaviour == Behaviour::Family {
            let mut kernel = program.clone();
            kernel.behaviour = Behaviour::Silent;
            let second = self.reserve();
            self.add(second, tag.clone(), Some(number), kernel);
        }
        self.add(number, tag, None, program);
    }

    fn add(&self, number: Number, tag: Tag, parent: Option<Number>, program: Program) {
        let (told, status) = watch::channel(None);
        let (asked, killed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server {
            tag,
            parent,
            asked: Arc::clone(&asked),
            killed: Arc::clone(&killed),
            status,
        };
        let life = async move {
            let deaf = program.behaviour == Behaviour::Deaf;
            let status = tokio::select! {
                () = killed.notified() => ExitStatus::Signal(9),
                () = asked.notified(), if !deaf => ExitStatus::Signal(15),
                ending = program.run() => match ending {
                    Ok(Ending::Exit(code)) => ExitStatus::Code(code),
                    Ok(Ending::Abort) => ExitStatus::Signal(6),
                    Err(_) => ExitStatus::Code(111),
                },
            };
            told.send_replace(Some(status));
        };
        let mut servers = self.lock();
        servers.all.insert(number, server);
        servers.tasks.spawn(life);
    }

    /// Whether a server is there.
    pub fn status(&self, number: Number) -> PollStatus {
        match self.lock().all.get(&number) {
            None => PollStatus::Exited(ExitStatus::Unknown),
            Some(server) => match *server.status.borrow() {
                None => PollStatus::Running,
                Some(status) => PollStatus::Exited(status),
            },
        }
    }

    /// Returns when a server has ended.
    pub async fn ended(&self, number: Number) -> ExitStatus {
        let status = self.lock().all.get(&number).map(|s| s.status.clone());
        let Some(mut status) = status else {
            return ExitStatus::Unknown;
        };
        let ended = status.wait_for(Option::is_some).await;
        ended.map_or(ExitStatus::Unknown, |status| {
            status.unwrap_or(ExitStatus::Unknown)
        })
    }

    /// Asks a server to end.
    pub fn ask(&self, number: Number) {
        if let Some(server) = self.lock().all.get(&number) {
            server.asked.notify_one();
        }
    }

    /// Ends a server, and removes it.
    pub async fn remove(&self, number: Number) {
        if let Some(server) = self.lock().all.get(&number) {
            server.killed.notify_one();
        }
        self.ended(number).await;
        self.lock().all.remove(&number);
    }

    /// Ends and removes a server with all that it started.
    pub async fn remove_tree(&self, number: Number) {
        // First the children: as long as their parent is there, they are found through it.
        let children: Vec<Number> = {
            let servers = self.lock();
            let of_it = servers.all.iter().filter(|(_, s)| s.parent == Some(number));
            of_it.map(|(number, _)| *number).collect()
        };
        for child in children {
            self.remove(child).await;
        }
        self.remove(number).await;
    }

    fn lock(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap()
    }
}
