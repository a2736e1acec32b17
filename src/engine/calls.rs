//! Calls to models: from the cache if they are there, else from the model, once for equal
//! requests, and stored before they are used. Owns the models' servers and how many calls are
//! under way; knows nothing of records.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::board::{Event, Events, Row};
use super::budget::{Budget, Limits};
use super::halt::{Halt, Reason};
use super::stock::Stock;
use crate::diag::Diagnostic;
use crate::hash::{Hash, canonical_json};
use crate::model::api::call_key;
use crate::model::chat::{Reply, Request};
use crate::model::client::Client;
use crate::model::error::CallError;
use crate::model::serve::{Place, Server};
use crate::model::spec::{ModelSpec, Sampling};
use crate::replay::ledger::Wanted;
use crate::store::Store;

/// Why there is no reply.
#[derive(Clone, Debug)]
pub enum NoReply {
    /// The call failed: why, in one line.
    Failed(String),
    /// The model cannot be asked at all.
    NoModel(Box<Diagnostic>),
    /// The run stops before the call was made.
    Stopped,
    /// The call is not in the cache, and this run makes none.
    Missing,
}

/// A call under way, awaited by all who want it.
type Flight = Arc<OnceCell<Result<Reply, NoReply>>>;

/// All calls of a run.
pub struct Calls {
    store: Store,
    halt: Halt,
    events: Events,
    lanes: BTreeMap<String, Arc<Lane>>,
    /// Calls under way, so that equal ones wait for each other.
    flights: Mutex<HashMap<Hash, Flight>>,
    /// What is answered without a model.
    stock: Stock,
    budget: Budget,
}

/// What calls to one model share.
struct Lane {
    model: Arc<ModelSpec>,
    place: Option<Place>,
    slots: Semaphore,
    open: OnceCell<Result<Client, Box<Diagnostic>>>,
    server: tokio::sync::Mutex<Option<Server>>,
}

impl Calls {
    /// Calls to these models; `place` says where a model's server would be set up and run.
    pub fn new(
        models: &BTreeMap<String, Arc<ModelSpec>>,
        place: impl Fn(&str) -> Option<Place>,
        store: &Store,
        halt: &Halt,
        events: &Events,
        limits: Limits,
        stock: Stock,
    ) -> Calls {
        // Instances of a pipeline have models of their own; what is the same server to all is
        // one lane, so that its limits hold and it is started once.
        let mut same: HashMap<Vec<u8>, Arc<Lane>> = HashMap::new();
        let lane = |(name, model): (&String, &Arc<ModelSpec>)| {
            let plain = ModelSpec {
                sampling: Sampling::default(),
                chat_template: None,
                ..(**model).clone()
            };
            let place = place(name);
            let dir = place.as_ref().map(|place| &place.dir);
            let lane = same
                .entry(canonical_json(&(plain, dir)))
                .or_insert_with(|| {
                    Arc::new(Lane {
                        model: model.clone(),
                        place,
                        slots: Semaphore::new(model.concurrency.max(1) as usize),
                        open: OnceCell::new(),
                        server: tokio::sync::Mutex::new(None),
                    })
                });
            (name.clone(), lane.clone())
        };
        Calls {
            store: store.clone(),
            halt: halt.clone(),
            events: events.clone(),
            lanes: models.iter().map(lane).collect(),
            flights: Mutex::default(),
            stock,
            budget: Budget::new(limits),
        }
    }

    /// The reply to a request about the record with the key `about`, counted on `row`. After
    /// `enough` no call is begun.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn reply(
        &self,
        request: &Request,
        row: &Row,
        about: &str,
        enough: &Halt,
    ) -> Result<Reply, NoReply> {
        row.calls.add(1);
        let wanted = Wanted {
            stage: &row.name,
            record: about,
            call: call_key(request),
            request,
            turn: self.stock.turn(),
        };
        let result = match self.stock.find(&wanted, row) {
            Some(found) => found,
            None => self.asked(wanted.call, request, row, enough).await,
        };
        if let Ok(reply) = &result {
            self.stock.answered(&wanted, reply);
        }
        result
    }

    /// Notes that a stage loses a record because a call is missing: why, in one line.
    pub fn lose(&self, stage: &str, record: &str) -> String {
        self.stock.lose(stage, record)
    }

    /// The reply of the model.
    async fn asked(
        &self,
        key: Hash,
        request: &Request,
        row: &Row,
        enough: &Halt,
    ) -> Result<Reply, NoReply> {
        let flight = self.flight(key);
        let mut mine = false;
        let result = flight
            .get_or_init(|| async {
                mine = true;
                self.ask(key, request, row, enough).await
            })
            .await
            .clone();
        if mine {
            // Later equal requests find the reply in the cache, or ask again after a failure.
            self.flights().remove(&key);
        } else if result.is_ok() {
            row.cached.add(1);
        }
        result
    }

    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<Hash, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flight(&self, key: Hash) -> Flight {
        self.flights().entry(key).or_default().clone()
    }

    async fn ask(
        &self,
        key: Hash,
        request: &Request,
        row: &Row,
        enough: &Halt,
    ) -> Result<Reply, NoReply> {
        let name = &request.model.name;
        let Some(lane) = self.lanes.get(name) else {
            let fault = Diagnostic::error(format!("no model `{name}`"));
            return Err(NoReply::NoModel(Box::new(fault)));
        };
        // Whoever waits for a slot when the run stops has not begun; whoever has one goes on.
        let slot = tokio::select! {
            biased;
            () = self.halt.raised() => return Err(NoReply::Stopped),
            () = enough.raised() => return Err(NoReply::Stopped),
            slot = lane.slots.acquire() => slot,
        };
        // Another run on the same cache or an equal request may have answered meanwhile.
        let _slot = slot.map_err(|_| NoReply::Stopped)?;
        let client = tokio::select! {
            biased;
            () = self.halt.raised() => return Err(NoReply::Stopped),
            () = enough.raised() => return Err(NoReply::Stopped),
            client = lane.client(&self.events) => client.map_err(NoReply::NoModel)?,
        };
        if let Err(limit) = self.budget.begin() {
            self.halt.raise(Reason::Budget(limit));
            return Err(NoReply::Stopped);
        }
        let reply = client.ask(request).await.map_err(|why| match why {
            // No other text will fare better there.
            CallError::NoTokenizer { .. } => {
                let name = &request.model.name;
                let what = format!("the server of model `{name}` counts no tokens: {why}");
                NoReply::NoModel(Box::new(Diagnostic::error(what)))
            }
            why => NoReply::Failed(why.to_string()),
        })?;
        row.asked.add(1);
        row.prompt_tokens.add(reply.prompt_tokens.unwrap_or(0));
        row.answer_tokens.add(reply.answer_tokens.unwrap_or(0));
        self.budget.spend(&reply, request.model.price);
        if let Err(error) = self.store.put_call(key, &reply).await {
            self.halt.raise(Reason::Store(error.to_string()));
            return Err(NoReply::Stopped);
        }
        Ok(reply)
    }

    /// What the calls of this run cost, in the currency of the models' prices.
    pub fn cost(&self) -> f64 {
        self.budget.cost()
    }

    /// Ends the servers that were started.
    pub async fn close(&self) {
        for (name, lane) in &self.lanes {
            if let Some(server) = lane.server.lock().await.take() {
                server.stop().await;
                let _ = self
                    .events
                    .send(Event::Say(format!("stopped the server of model `{name}`")));
            }
        }
    }
}

impl Lane {
    async fn client(&self, events: &Events) -> Result<Client, Box<Diagnostic>> {
        self.open
            .get_or_init(|| async { self.connect(events).await.map_err(Box::new) })
            .await
            .clone()
    }

    async fn connect(&self, events: &Events) -> Result<Client, Diagnostic> {
        let Some(place) = self.place.as_ref().filter(|_| self.model.serve.is_some()) else {
            return Client::new(&self.model);
        };
        let say = |line: String| {
            let _ = events.send(Event::Say(line));
        };
        match Server::start(&self.model, place, &say).await? {
            Some(server) => {
                let client = Client::new(&self.model.with_url(&server.url));
                *self.server.lock().await = Some(server);
                client
            }
            None => Client::new(&self.model),
        }
    }
}
