//! Calls to models: from the cache if they are there, else from the model, once for equal
//! requests, and stored before they are used. Owns the models' servers and how many calls are
//! under way; knows nothing of records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::future::join_all;
use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;

use super::board::{Events, Row};
use super::budget::{Budget, Limits};
use super::gate::Gate;
use super::halt::{Halt, Reason};
use super::lane::Lane;
use super::no_reply::NoReply;
use super::stock::Stock;
use super::turns::{Amounts, StageUse};
use crate::diag::Diagnostic;
use crate::hash::{Hash, canonical_json};
use crate::model::api::call_key;
use crate::model::chat::{Reply, Request};
use crate::model::error::CallError;
use crate::model::serve::Place;
use crate::model::spec::{ModelSpec, Sampling, SystemPrompt};
use crate::model::told::Served;
use crate::replay::ledger::Wanted;
use crate::store::Store;

/// A call under way, awaited by all who want it.
type Flight = Arc<OnceCell<Result<Reply, NoReply>>>;

/// All calls of a run.
pub struct Calls {
    store: Store,
    halt: Halt,
    events: Events,
    /// The models, and each one's number at the gate.
    lanes: BTreeMap<String, (Arc<Lane>, usize)>,
    gate: Arc<Gate>,
    /// Calls under way, so that equal ones wait for each other.
    flights: Mutex<HashMap<Hash, Flight>>,
    /// What is answered without a model.
    stock: Stock,
    budget: Arc<Budget>,
}

/// What a run has for its calls.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// What it may spend.
    pub limits: Limits,
    /// What the machine has for servers.
    pub has: Amounts,
}

impl Calls {
    /// Calls to these models; `place` says where a model's server would be set up and run.
    pub fn new(
        models: &BTreeMap<String, Arc<ModelSpec>>,
        place: impl Fn(&str) -> Option<Place>,
        store: &Store,
        halt: &Halt,
        events: &Events,
        means: Means,
        stock: Stock,
    ) -> Calls {
        // Instances of a pipeline have models of their own; what is the same server to all is
        // one lane, so that its limits hold and it is started once.
        let mut same: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut all: Vec<Arc<Lane>> = Vec::new();
        let lane = |(name, model): (&String, &Arc<ModelSpec>)| {
            // What is sent may differ; what it is sent to must not.
            let plain = ModelSpec {
                api: Some(model.api()),
                instruct: true,
                system: SystemPrompt::Native,
                price: None,
                revision: None,
                sampling: Sampling::default(),
                chat_template: None,
                json_schema: None,
                ..(**model).clone()
            };
            let place = place(name);
            let dir = place.as_ref().map(|place| &place.dir);
            let number = *same
                .entry(canonical_json(&(plain, dir)))
                .or_insert_with(|| {
                    all.push(Arc::new(Lane::new(model, place)));
                    all.len() - 1
                });
            (name.clone(), (all[number].clone(), number))
        };
        let lanes = models.iter().map(lane).collect();
        Calls {
            store: store.clone(),
            halt: halt.clone(),
            events: events.clone(),
            lanes,
            gate: Gate::new(all, means.has),
            flights: Mutex::default(),
            stock,
            budget: Arc::new(Budget::new(means.limits)),
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
        loop {
            let flight = self.flight(key);
            let mut mine = false;
            let result = flight
                .get_or_init(|| async {
                    mine = true;
                    // An equal request may have been answered since the cache was looked at.
                    if let Some(reply) = self.store.get_call::<Reply>(key) {
                        row.cached.add(1);
                        return Ok(reply);
                    }
                    self.ask(key, request, row, enough).await
                })
                .await
                .clone();
            // Later equal requests find the reply in the cache, or ask again after a failure.
            self.land(key, &flight);
            if !mine && result.is_ok() {
                row.cached.add(1);
            }
            let stops = enough.is_raised() || self.halt.is_raised();
            // Another stage's wish to stop is not this one's.
            if mine || stops || !matches!(result, Err(NoReply::Stopped)) {
                return result;
            }
        }
    }

    /// Ends a flight.
    fn land(&self, key: Hash, flight: &Flight) {
        let mut flights = self.flights();
        if flights
            .get(&key)
            .is_some_and(|own| Arc::ptr_eq(own, flight))
        {
            flights.remove(&key);
        }
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
        let Some((lane, number)) = self.lanes.get(name) else {
            let fault = Diagnostic::error(format!("no model `{name}`"));
            return Err(NoReply::NoModel(Box::new(fault)));
        };
        let begin = async {
            let pass = self.gate.enter(*number).await;
            // Also those that wait for a server to start are sent in the order of the records.
            let turn = lane.turn().await;
            let client = lane.client(&self.events).await.map_err(NoReply::NoModel)?;
            let permit = client.admit(request);
            drop(turn);
            let permit = permit
                .await
                .map_err(|why| NoReply::Failed(why.to_string()))?;
            Ok((pass, client, permit))
        };
        // Whoever waits when the run stops has not begun; whoever has begun goes on.
        let (_pass, client, permit) = tokio::select! {
            biased;
            () = either(&self.halt, enough) => return Err(NoReply::Stopped),
            begun = begin => begun?,
        };
        if let Err(limit) = self.budget.begin() {
            self.halt.raise(Reason::Budget(limit));
            return Err(NoReply::Stopped);
        }
        let sent = Instant::now();
        let task = {
            let (request, halt, enough) = (request.clone(), self.halt.clone(), enough.clone());
            let budget = self.budget.clone();
            let asking = async move {
                let stop = either(&halt, &enough);
                let price = request.model.price;
                // Before another call may begin.
                let heard = |reply: &Reply| budget.spend(reply, price);
                client.ask(&request, permit, stop, &heard).await
            };
            // A task of its own, so that all cores take part. It ends with whoever waits for it.
            AbortOnDropHandle::new(tokio::spawn(asking))
        };
        let reply = joined(task).await;
        if let Err(why) = &reply
            && why.is_of_request()
        {
            // That it is kept spares work, no more.
            let _ = self.stock.refuse(key, &why.to_string()).await;
        }
        let reply = reply.map_err(|why| match why {
            CallError::Stopped => NoReply::Stopped,
            // No other text will fare better there.
            CallError::NoTokenizer { .. } => {
                let name = &request.model.name;
                let what = format!("the server of model `{name}` counts no tokens: {why}");
                NoReply::NoModel(Box::new(Diagnostic::error(what)))
            }
            why => NoReply::Failed(why.to_string()),
        })?;
        lane.has_answered();
        row.asked.add(1);
        row.clocked.add(sent.elapsed());
        row.prompt_tokens.add(reply.prompt_tokens.unwrap_or(0));
        row.answer_tokens.add(reply.answer_tokens.unwrap_or(0));
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

    /// The stages of the run, by what they do with models: their names, and the stages that they
    /// depend on.
    pub fn stages(&self, stages: impl IntoIterator<Item = (Vec<String>, BTreeSet<usize>)>) {
        let number = |name: &String| self.lanes.get(name).map(|(_, number)| *number);
        let used = |(models, ancestors): (Vec<String>, BTreeSet<usize>)| StageUse {
            lanes: models.iter().filter_map(number).collect(),
            ancestors,
            ended: false,
        };
        self.gate.stages(stages.into_iter().map(used).collect());
    }

    /// The servers among these models that share the machine with others.
    pub fn bound(&self, models: &[String]) -> BTreeSet<usize> {
        let lanes = models.iter().filter_map(|name| self.lanes.get(name));
        let bound = lanes.filter(|(lane, _)| !lane.needs().is_empty());
        bound.map(|(_, number)| *number).collect()
    }

    /// A stage asks no more.
    pub fn ended(&self, stage: usize) {
        self.gate.ended(stage);
    }

    /// What the servers that answered say of themselves. Nobody waits for that who wants to stop.
    pub async fn served(&self) -> Vec<Served> {
        if self.halt.is_raised() {
            self.lanes.values().for_each(|(lane, _)| lane.hush());
        }
        let lanes = self.lanes.values().map(|(lane, _)| lane.served());
        tokio::select! {
            biased;
            () = self.halt.raised() => Vec::new(),
            told = join_all(lanes) => told.into_iter().flatten().collect(),
        }
    }

    /// Ends the servers that were started.
    pub async fn close(&self) {
        for (lane, _) in self.lanes.values() {
            lane.close().await;
        }
    }
}

/// Ends when one of the two is raised.
async fn either(halt: &Halt, other: &Halt) {
    tokio::select! {
        () = halt.raised() => {}
        () = other.raised() => {}
    }
}

/// What a task comes to.
async fn joined<T>(task: AbortOnDropHandle<T>) -> T {
    match task.await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The program ends.
            Err(_) => std::future::pending().await,
        },
    }
}
