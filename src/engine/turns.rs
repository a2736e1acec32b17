//! Whose servers may run, when not all fit on the machine at once. Pure: it is told what servers
//! need, who asks, and which stages have ended, and says which servers must go and which may come.
//!
//! A server stays while a stage could still ask it without waiting for a server that is not
//! there; so a chain of models is walked with as few changes as there are links.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Amounts of things that servers need, such as `gpu: 1`.
pub type Amounts = BTreeMap<String, f64>;

/// A server, by its index.
pub type Lane = usize;

/// What a stage has to do with servers.
#[derive(Clone, Debug, Default)]
pub struct StageUse {
    /// The servers that it asks; only those that need something count.
    pub lanes: BTreeSet<Lane>,
    /// Stages that it depends on, at whatever distance.
    pub ancestors: BTreeSet<usize>,
    /// True once it asks no more.
    pub ended: bool,
}

/// Where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not there.
    Out,
    /// There, or being started.
    In,
    /// To be stopped as soon as the calls under way have ended.
    Leaving,
    /// Being stopped.
    Going,
}

/// What a look at the servers changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// A server may run now.
    pub came: bool,
    /// Servers that must be stopped now; each is named once.
    pub stop: Vec<Lane>,
}

#[derive(Debug)]
struct Seat {
    needs: Amounts,
    place: Place,
    /// Calls under way.
    calls: usize,
    /// Since when there is none.
    quiet: Option<Instant>,
    /// Calls that wait for it.
    waiting: usize,
}

/// Who may run.
#[derive(Debug, Default)]
pub struct Turns {
    seats: Vec<Seat>,
    /// What the machine has; of what is not named, one.
    has: Amounts,
    stages: Vec<StageUse>,
}

impl Turns {
    /// Servers with these needs on a machine that has so much.
    pub fn new(needs: Vec<Amounts>, has: Amounts) -> Turns {
        let seat = |needs| Seat {
            needs,
            place: Place::Out,
            calls: 0,
            quiet: None,
            waiting: 0,
        };
        Turns {
            seats: needs.into_iter().map(seat).collect(),
            has,
            stages: Vec::new(),
        }
    }

    /// The stages of a run.
    pub fn stages(&mut self, stages: Vec<StageUse>) {
        self.stages = stages;
    }

    /// A stage asks no more.
    pub fn ended(&mut self, stage: usize) {
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.ended = true;
        }
    }

    /// True if a server needs anything that others could need.
    pub fn is_bound(&self, lane: Lane) -> bool {
        !self.seats[lane].needs.is_empty()
    }

    /// A call waits for a server.
    pub fn wait(&mut self, lane: Lane) {
        self.seats[lane].waiting += 1;
    }

    /// It waits no more: it begins, or was given up.
    pub fn waited(&mut self, lane: Lane) {
        self.seats[lane].waiting -= 1;
    }

    /// Begins a call if its server may run; it is counted until [`Turns::end`].
    pub fn begin(&mut self, lane: Lane) -> bool {
        let in_place = self.seats[lane].place == Place::In;
        if in_place {
            self.seats[lane].calls += 1;
            self.seats[lane].quiet = None;
        }
        in_place
    }

    /// A call has ended.
    pub fn end(&mut self, lane: Lane, now: Instant) {
        let seat = &mut self.seats[lane];
        seat.calls -= 1;
        seat.quiet = (seat.calls == 0).then_some(now);
    }

    /// A server is gone.
    pub fn gone(&mut self, lane: Lane) {
        self.seats[lane].place = Place::Out;
    }

    /// Lets servers in for which there is room, and makes room for others. A server that nobody
    /// has asked for `idle` leaves even if a stage may still want it.
    pub fn advance(&mut self, now: Instant, idle: Duration) -> Moves {
        let mut moves = Moves::default();
        for lane in self.wanted() {
            if self.fits(lane) {
                self.seats[lane].place = Place::In;
                self.seats[lane].quiet = Some(now);
                moves.came = true;
            } else if !self.is_made_room_for(lane) {
                for lane in self.room(lane, now, idle) {
                    self.seats[lane].place = Place::Leaving;
                }
            }
        }
        for (lane, seat) in self.seats.iter_mut().enumerate() {
            if seat.place == Place::Leaving && seat.calls == 0 {
                seat.place = Place::Going;
                moves.stop.push(lane);
            }
        }
        moves
    }

    /// True for a server that leaves and has no call under way any more.
    pub fn is_empty_handed(&self, lane: Lane) -> bool {
        let seat = &self.seats[lane];
        seat.place == Place::Leaving && seat.calls == 0
    }

    /// Those that calls wait for and that are not there. First come those that will be through
    /// with all their stages, since they need not come again; then those that stages can ask
    /// without waiting for others.
    fn wanted(&self) -> Vec<Lane> {
        let wanted = |lane: &Lane| {
            let seat = &self.seats[*lane];
            seat.place == Place::Out && seat.waiting > 0
        };
        let mut lanes: Vec<Lane> = (0..self.seats.len()).filter(wanted).collect();
        lanes.sort_by_key(|lane| (!self.is_free(*lane), !self.is_useful(*lane)));
        lanes
    }

    /// True if a stage can ask the server without waiting for one that is not there.
    fn is_useful(&self, lane: Lane) -> bool {
        self.asking(lane).any(|stage| !self.waits(stage, lane))
    }

    /// True if no stage that asks the server waits for one that is not there.
    fn is_free(&self, lane: Lane) -> bool {
        self.asking(lane).all(|stage| !self.waits(stage, lane))
    }

    fn asking(&self, lane: Lane) -> impl Iterator<Item = &StageUse> {
        let asks = move |stage: &&StageUse| !stage.ended && stage.lanes.contains(&lane);
        self.stages.iter().filter(asks)
    }

    /// True if something that a stage depends on asks a server that is not there, `lane` aside.
    fn waits(&self, stage: &StageUse, lane: Lane) -> bool {
        let here = |other: &Lane| *other == lane || self.seats[*other].place == Place::In;
        let mut ancestors = stage.ancestors.iter().map(|at| &self.stages[*at]);
        ancestors.any(|stage| !stage.ended && !stage.lanes.iter().all(here))
    }

    /// True if a server leaves that has what `lane` needs: that is waited for.
    fn is_made_room_for(&self, lane: Lane) -> bool {
        let leaves = |seat: &Seat| matches!(seat.place, Place::Leaving | Place::Going);
        let mut seats = self.seats.iter();
        seats.any(|seat| leaves(seat) && self.share(seat, lane))
    }

    fn share(&self, seat: &Seat, lane: Lane) -> bool {
        let needs = &self.seats[lane].needs;
        seat.needs.keys().any(|name| needs.contains_key(name))
    }

    /// Servers that are there and not useful any more, as few as make room for `lane`; none if
    /// all of them together do not.
    fn room(&self, lane: Lane, now: Instant, idle: Duration) -> Vec<Lane> {
        let may_go = |other: &Lane| {
            let seat = &self.seats[*other];
            let quiet = seat.quiet.filter(|_| seat.waiting == 0);
            let unused = quiet.is_some_and(|since| now.saturating_duration_since(since) >= idle);
            seat.place == Place::In && self.share(seat, lane) && (unused || !self.is_useful(*other))
        };
        let mut going: Vec<Lane> = (0..self.seats.len()).filter(may_go).collect();
        if !self.fits_without(lane, &going) {
            return Vec::new();
        }
        for at in (0..going.len()).rev() {
            let stays = going.remove(at);
            if !self.fits_without(lane, &going) {
                going.insert(at, stays);
            }
        }
        going
    }

    fn fits(&self, lane: Lane) -> bool {
        self.fits_without(lane, &[])
    }

    fn fits_without(&self, lane: Lane, gone: &[Lane]) -> bool {
        self.seats[lane].needs.iter().all(|(name, amount)| {
            let others = self.seats.iter().enumerate();
            let taken: f64 = others
                .filter(|(at, seat)| seat.place != Place::Out && !gone.contains(at))
                .filter_map(|(_, seat)| seat.needs.get(name))
                .sum();
            taken + amount <= amount_of(&self.has, name) + 1e-9
        })
    }
}

/// What a machine has of something: one, if nobody says.
pub fn amount_of(has: &Amounts, name: &str) -> f64 {
    has.get(name).copied().unwrap_or(1.0)
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
