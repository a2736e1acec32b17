//! Turns, played with stages that ask.

use proptest::prelude::*;

use super::*;

fn gpu(amount: f64) -> Amounts {
    Amounts::from([("gpu".to_owned(), amount)])
}

/// Stages that ask one server each so many times, and read others.
struct Play {
    turns: Turns,
    asks: Vec<(Lane, u32)>,
    reads: Vec<BTreeSet<usize>>,
    left: Vec<u32>,
    waiting: Vec<bool>,
    starts: Vec<Lane>,
}

impl Play {
    fn new(needs: Vec<Amounts>, has: Amounts, stages: &[(Lane, u32, &[usize])]) -> Play {
        let mut turns = Turns::new(needs, has);
        let mut reads: Vec<BTreeSet<usize>> = Vec::new();
        for (.., direct) in stages {
            let mut all: BTreeSet<usize> = direct.iter().copied().collect();
            for at in *direct {
                all.extend(reads[*at].iter().copied());
            }
            reads.push(all);
        }
        let uses = stages
            .iter()
            .zip(&reads)
            .map(|((lane, ..), reads)| StageUse {
                lanes: BTreeSet::from([*lane]),
                ancestors: reads.clone(),
                ended: false,
            });
        turns.stages(uses.collect());
        Play {
            turns,
            asks: stages.iter().map(|(lane, n, _)| (*lane, *n)).collect(),
            left: stages.iter().map(|(_, n, _)| *n).collect(),
            waiting: vec![false; stages.len()],
            reads,
            starts: Vec::new(),
        }
    }

    /// Plays to the end: the servers in the order in which they were started.
    fn run(mut self) -> Vec<Lane> {
        let mut inside: BTreeSet<Lane> = BTreeSet::new();
        let mut quiet = false;
        let now = Instant::now();
        for _ in 0..10_000 {
            let mut moved = false;
            for stage in 0..self.asks.len() {
                let done = |at: &usize| self.left[*at] == 0;
                let ready = self.reads[stage].iter().all(done);
                if self.left[stage] == 0 || !ready {
                    continue;
                }
                let lane = self.asks[stage].0;
                if !self.waiting[stage] {
                    self.turns.wait(lane);
                    self.waiting[stage] = true;
                }
                if self.turns.begin(lane) {
                    self.turns.waited(lane);
                    self.waiting[stage] = false;
                    if inside.insert(lane) {
                        self.starts.push(lane);
                    }
                    self.turns.end(lane, now);
                    self.left[stage] -= 1;
                    moved = true;
                    if self.left[stage] == 0 {
                        self.turns.ended(stage);
                    }
                }
            }
            if self.left.iter().all(|left| *left == 0) {
                return self.starts;
            }
            let moves = self
                .turns
                .advance(now, if quiet { Duration::ZERO } else { Duration::MAX });
            moved |= moves.came;
            for lane in moves.stop {
                self.turns.gone(lane);
                inside.remove(&lane);
                moved = true;
            }
            // A server that was let in is seen in the next round.
            quiet = !moved && !quiet;
        }
        panic!("stuck: {:?}", self.turns);
    }
}

#[test]
fn many_models_walk_over_one_gpu_one_after_the_other() {
    let stages: Vec<(Lane, u32, &[usize])> = (0..25).map(|lane| (lane, 3, &[][..])).collect();
    let starts = Play::new(vec![gpu(1.0); 25], Amounts::new(), &stages).run();
    assert_eq!(starts, (0..25).collect::<Vec<_>>());
}

#[test]
fn a_chain_of_models_changes_once_a_link() {
    // Two tasks each: writer, judge, writer again.
    let stages: [(Lane, u32, &[usize]); 6] = [
        (0, 2, &[]),
        (1, 2, &[0]),
        (0, 2, &[1]),
        (0, 2, &[]),
        (1, 2, &[3]),
        (0, 2, &[4]),
    ];
    let starts = Play::new(vec![gpu(1.0); 2], Amounts::new(), &stages).run();
    assert_eq!(starts, [0, 1, 0]);
}

#[test]
fn one_judge_of_many_models_is_started_once() {
    let mut stages: Vec<(Lane, u32, &[usize])> = Vec::new();
    const READS: [[usize; 1]; 6] = [[0], [2], [4], [6], [8], [10]];
    for (model, reads) in READS.iter().enumerate() {
        stages.push((model, 2, &[]));
        stages.push((6, 2, reads));
    }
    let starts = Play::new(vec![gpu(1.0); 7], Amounts::new(), &stages).run();
    assert_eq!(starts.len(), 7, "{starts:?}");
}

#[test]
fn a_server_that_is_asked_now_and_then_is_not_idle() {
    let stages: [(Lane, u32, &[usize]); 2] = [(0, 9, &[]), (1, 1, &[])];
    let mut turns = Play::new(vec![gpu(1.0); 2], Amounts::new(), &stages).turns;
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let idle = Duration::from_secs(15);
    turns.wait(0);
    turns.advance(start, idle);
    turns.begin(0);
    turns.waited(0);
    turns.end(0, after(10));
    turns.wait(1);
    assert!(turns.advance(after(20), idle).stop.is_empty());
    assert_eq!(turns.advance(after(25), idle).stop, [0]);
}

#[test]
fn what_fits_runs_together() {
    let stages: [(Lane, u32, &[usize]); 3] = [(0, 2, &[]), (1, 2, &[]), (2, 2, &[])];
    let needs = vec![gpu(1.0), gpu(1.0), Amounts::new()];
    let mut play = Play::new(needs, gpu(2.0), &stages);
    for lane in 0..3 {
        play.turns.wait(lane);
    }
    assert!(
        play.turns
            .advance(Instant::now(), Duration::MAX)
            .stop
            .is_empty()
    );
    assert!((0..3).all(|lane| play.turns.begin(lane)));
    assert!(play.turns.is_bound(0) && !play.turns.is_bound(2));
}

#[test]
fn calls_under_way_end_before_their_server_goes() {
    let stages: [(Lane, u32, &[usize]); 2] = [(0, 1, &[]), (1, 1, &[])];
    let mut turns = Play::new(vec![gpu(1.0); 2], Amounts::new(), &stages).turns;
    turns.wait(0);
    turns.wait(1);
    assert!(turns.advance(Instant::now(), Duration::MAX).stop.is_empty());
    assert!(turns.begin(0) && !turns.begin(1));
    turns.waited(0);
    // The stage has ended, but a call is not over: say, one that was cut off.
    turns.ended(0);
    assert!(turns.advance(Instant::now(), Duration::MAX).stop.is_empty());
    assert!(!turns.begin(0), "it is leaving");
    turns.end(0, Instant::now());
    assert!(turns.is_empty_handed(0));
    assert_eq!(turns.advance(Instant::now(), Duration::MAX).stop, [0]);
    assert!(
        turns.advance(Instant::now(), Duration::MAX).stop.is_empty(),
        "told once"
    );
    turns.gone(0);
    assert!(turns.advance(Instant::now(), Duration::MAX).stop.is_empty());
    assert!(turns.begin(1));
}

#[test]
fn no_more_servers_leave_than_must_and_others_are_not_held_up() {
    let stages: [(Lane, u32, &[usize]); 4] = [(0, 1, &[]), (1, 1, &[]), (2, 1, &[]), (3, 1, &[])];
    let disk = Amounts::from([("disk".to_owned(), 1.0)]);
    let needs = vec![gpu(1.0), gpu(1.0), gpu(1.0), disk];
    let mut turns = Play::new(needs, gpu(2.0), &stages).turns;
    (0..2).for_each(|lane| turns.wait(lane));
    turns.advance(Instant::now(), Duration::MAX);
    for lane in 0..2 {
        assert!(turns.begin(lane));
        turns.waited(lane);
        turns.ended(lane);
    }
    // Two could go, one does, as soon as its call has ended.
    turns.wait(2);
    assert!(turns.advance(Instant::now(), Duration::MAX).stop.is_empty());
    let leaving = (0..2).filter(|lane| !turns.begin(*lane)).count();
    assert_eq!(leaving, 1);
    // Meanwhile what needs something else comes.
    turns.wait(3);
    turns.advance(Instant::now(), Duration::MAX);
    assert!(turns.begin(3));
}

proptest! {
    /// Whatever depends on whatever: all is asked in the end.
    #[test]
    fn nobody_waits_for_ever(
        stages in prop::collection::vec((0_usize..5, 1_u32..4, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..12),
        amounts in prop::collection::vec(1_u32..4, 5),
        has in 3_u32..6,
    ) {
        let mut all: Vec<(Lane, u32, Vec<usize>)> = Vec::new();
        for (at, (lane, asks, reads)) in stages.iter().enumerate() {
            let reads = if at == 0 { Vec::new() } else {
                reads.iter().map(|read| read.index(at)).collect()
            };
            all.push((*lane, *asks, reads));
        }
        let stages: Vec<(Lane, u32, &[usize])> =
            all.iter().map(|(lane, asks, reads)| (*lane, *asks, reads.as_slice())).collect();
        let needs = amounts.iter().map(|amount| gpu(f64::from(*amount))).collect();
        let starts = Play::new(needs, gpu(f64::from(has)), &stages).run();
        // Never more often than there are stages.
        prop_assert!(starts.len() <= stages.len(), "{starts:?}");
    }
}
