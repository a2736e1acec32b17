//! What calls to one model share: its client, and its server if the pipeline starts one. Owns when
//! the server is started, that it is started again if it dies, and that it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;

use super::board::{Event, Events};
use super::turns::Amounts;
use crate::diag::Diagnostic;
use crate::model::client::Client;
use crate::model::pool::Pool;
use crate::model::serve::{Place, Server};
use crate::model::spec::ModelSpec;
use crate::model::told::Served;

/// How often a server that dies is started again in one run.
const RESTARTS: u32 = 3;
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A model as calls reach it.
pub struct Lane {
    model: Arc<ModelSpec>,
    place: Option<Place>,
    open: Mutex<Open>,
    /// Who is next to ask for the client.
    turn: Mutex<()>,
    /// How often the server was closed: who starts it hears of it.
    closed: watch::Sender<u32>,
    /// How often it was started.
    rounds: AtomicU32,
    /// True once it answered a call.
    answered: AtomicBool,
}

#[derive(Default)]
struct Open {
    client: Option<Result<Client, Box<Diagnostic>>>,
    keeper: Option<Keeper>,
    served: Option<Served>,
}

/// The task that keeps a server running.
struct Keeper {
    task: JoinHandle<()>,
    events: Events,
}

impl Lane {
    /// The lane of a model; `place` is where its server would be started.
    pub fn new(model: &Arc<ModelSpec>, place: Option<Place>) -> Lane {
        Lane {
            model: model.clone(),
            place,
            open: Mutex::default(),
            turn: Mutex::default(),
            closed: watch::Sender::new(0),
            rounds: AtomicU32::new(0),
            answered: AtomicBool::new(false),
        }
    }

    /// Notes that it answered a call.
    pub fn has_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Lets it not be asked what it is: the run wants to end.
    pub fn hush(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    /// What the server that answered calls says of itself, if it is still there or said so before
    /// it was stopped.
    pub async fn served(&self) -> Option<Served> {
        let mut open = self.open.lock().await;
        self.learn(&mut open).await;
        open.served.clone()
    }

    /// Asks the server what it is, once and not for long, if it answered calls.
    async fn learn(&self, open: &mut Open) {
        if let Some(Ok(client)) = &open.client
            && self.answered.swap(false, Ordering::Relaxed)
            && open.served.is_none()
        {
            open.served = Served::by(&self.model, client).await;
        }
    }

    /// What its server needs of the machine.
    pub fn needs(&self) -> Amounts {
        let serve = self.model.serve.as_ref();
        serve.map_or_else(Amounts::new, |serve| serve.resources.clone())
    }

    /// Waits until those who came before have their client: first come, first served.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The client; the first who wants it has the server started.
    ///
    /// # Errors
    /// The model cannot be asked.
    pub async fn client(self: &Arc<Lane>, events: &Events) -> Result<Client, Box<Diagnostic>> {
        if let Some(client) = self
            .open
            .try_lock()
            .ok()
            .and_then(|open| open.client.clone())
        {
            return client;
        }
        let (lane, events) = (self.clone(), events.clone());
        // A task of its own: whoever waits for a server may give up, and others go on waiting.
        let opened = tokio::spawn(async move {
            let mut open = lane.open.lock().await;
            if let Some(client) = &open.client {
                return client.clone();
            }
            let connected = lane.connect(&mut open, &events).await.map_err(Box::new);
            open.client = Some(connected.clone());
            connected
        });
        opened.await.unwrap_or_else(|_| {
            let name = &self.model.name;
            Err(Box::new(Diagnostic::error(format!(
                "model `{name}` could not be opened"
            ))))
        })
    }

    async fn connect(
        self: &Arc<Lane>,
        open: &mut Open,
        events: &Events,
    ) -> Result<Client, Diagnostic> {
        let Some(place) = self.place.as_ref().filter(|_| self.model.serve.is_some()) else {
            return Client::told(&self.model, Box::new(sayer(events)));
        };
        // A token that is missing is better told before a server is started.
        Client::new(&self.model.with_url(&self.model.url_on(1)))?;
        // From here on no wish to close it is missed.
        let closed = self.closed.subscribe();
        let say = sayer(events);
        let round = self.rounds.fetch_add(1, Ordering::Relaxed);
        let stop = changed(closed.clone());
        let started = Server::start_until(&self.model, place, round, &say, stop).await?;
        let Some(server) = started else {
            return Client::new(&self.model);
        };
        let client = Client::kept(&self.model.with_url(&server.url))?;
        let kept = keep(
            self.clone(),
            place.clone(),
            server,
            client.pool().clone(),
            events.clone(),
            closed,
        );
        open.keeper = Some(Keeper {
            task: tokio::spawn(kept),
            events: events.clone(),
        });
        Ok(client)
    }

    /// Ends the server, if it was started; it is started again when somebody wants it.
    pub async fn close(&self) {
        // One that is still being started has answered nobody.
        if let Ok(mut open) = self.open.try_lock()
            && open.keeper.is_some()
        {
            self.learn(&mut open).await;
        }
        self.closed.send_modify(|times| *times += 1);
        let mut open = self.open.lock().await;
        open.client = None;
        if let Some(keeper) = open.keeper.take() {
            let _ = keeper.task.await;
            let name = &self.model.name;
            let line = format!("stopped the server of model `{name}`");
            let _ = keeper.events.send(Event::Say(line));
        }
    }
}

/// Ends when the lane is closed.
async fn changed(mut closed: watch::Receiver<u32>) {
    let _ = closed.changed().await;
}

fn sayer(events: &Events) -> impl Fn(String) + Send + Sync + 'static {
    let events = events.clone();
    move |line| {
        let _ = events.send(Event::Say(line));
    }
}

/// Keeps a server running until the lane is closed. A server that dies too often loses its calls.
async fn keep(
    lane: Arc<Lane>,
    place: Place,
    mut server: Server,
    pool: Arc<Pool>,
    events: Events,
    mut closed: watch::Receiver<u32>,
) {
    let say = sayer(&events);
    let mut again = 0;
    loop {
        let died = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Some(how) = server.ended() {
                    return how;
                }
            }
        };
        let how = tokio::select! {
            biased;
            _ = closed.changed() => return server.stop().await,
            how = died => how,
        };
        let model = &lane.model;
        let name = &model.name;
        again += 1;
        if again > RESTARTS {
            say(format!(
                "the server of model `{name}` {how}; it is given up"
            ));
            return pool.lose();
        }
        say(format!(
            "the server of model `{name}` {how}; starting it again ({again} of {RESTARTS})"
        ));
        // Calls wait meanwhile.
        pool.hold(true);
        let round = lane.rounds.fetch_add(1, Ordering::Relaxed);
        let stop = changed(closed.clone());
        match server.again(model, &place, round, &say, stop).await {
            Ok(next) => server = next,
            Err(_) if closed.has_changed().unwrap_or(true) => return,
            Err(fault) => {
                say(format!("{}; it is given up", fault.message));
                return pool.lose();
            }
        }
        pool.hold(false);
    }
}
