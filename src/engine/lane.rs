//! What calls to one model share: its client, and its server if the pipeline starts one. Owns when
//! the server is started, that it is started again if it dies, and that it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
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
    stop: oneshot::Sender<()>,
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
            answered: AtomicBool::new(false),
        }
    }

    /// Notes that it answered a call.
    pub fn has_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
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

    /// The client; the first who wants it has the server started.
    ///
    /// # Errors
    /// The model cannot be asked.
    pub async fn client(&self, events: &Events) -> Result<Client, Box<Diagnostic>> {
        let mut open = self.open.lock().await;
        if open.client.is_none() {
            let connected = self.connect(&mut open, events).await;
            open.client = Some(connected.map_err(Box::new));
        }
        // Put there just now.
        open.client.clone().unwrap_or_else(|| {
            Err(Box::new(Diagnostic::error(
                "there is no client of the model",
            )))
        })
    }

    async fn connect(&self, open: &mut Open, events: &Events) -> Result<Client, Diagnostic> {
        let Some(place) = self.place.as_ref().filter(|_| self.model.serve.is_some()) else {
            let events = events.clone();
            let tell = move |line| drop(events.send(Event::Say(line)));
            return Client::told(&self.model, Box::new(tell));
        };
        let say = sayer(events);
        let Some(server) = Server::start(&self.model, place, &say).await? else {
            return Client::new(&self.model);
        };
        let client = Client::new(&self.model.with_url(&server.url))?;
        let (stop, stopped) = oneshot::channel();
        let kept = keep(
            self.model.clone(),
            place.clone(),
            server,
            client.pool().clone(),
            events.clone(),
            stopped,
        );
        open.keeper = Some(Keeper {
            stop,
            task: tokio::spawn(kept),
            events: events.clone(),
        });
        Ok(client)
    }

    /// Ends the server, if it was started; it is started again when somebody wants it.
    pub async fn close(&self) {
        let mut open = self.open.lock().await;
        if open.keeper.is_some() {
            self.learn(&mut open).await;
        }
        open.client = None;
        if let Some(keeper) = open.keeper.take() {
            let _ = keeper.stop.send(());
            let _ = keeper.task.await;
            let name = &self.model.name;
            let line = format!("stopped the server of model `{name}`");
            let _ = keeper.events.send(Event::Say(line));
        }
    }
}

fn sayer(events: &Events) -> impl Fn(String) + Send + Sync + 'static {
    let events = events.clone();
    move |line| {
        let _ = events.send(Event::Say(line));
    }
}

/// Keeps a server running until it is told to stop. A server that dies too often loses its calls.
async fn keep(
    model: Arc<ModelSpec>,
    place: Place,
    mut server: Server,
    pool: Arc<Pool>,
    events: Events,
    mut stopped: oneshot::Receiver<()>,
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
            _ = &mut stopped => return server.stop().await,
            how = died => how,
        };
        let name = &model.name;
        again += 1;
        if again > RESTARTS {
            say(format!(
                "the server of model `{name}` {how}; it is given up"
            ));
            pool.lose();
            return;
        }
        say(format!(
            "the server of model `{name}` {how}; starting it again ({again} of {RESTARTS})"
        ));
        // Calls wait meanwhile.
        pool.hold(true);
        let started = tokio::select! {
            biased;
            _ = &mut stopped => return,
            started = server.again(&model, &place, again, &say) => started,
        };
        match started {
            Ok(next) => server = next,
            Err(fault) => {
                say(format!("{}; it is given up", fault.message));
                pool.lose();
                return;
            }
        }
        pool.hold(false);
    }
}
