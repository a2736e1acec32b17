//! The loop of stages that ask models: many records under way at once, in order at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};

use super::board::Kind;
use super::edge::BATCH;
use super::halt::{Halt, Reason};
use super::no_reply::NoReply;
use super::worker::{Broken, Shop, Worker};
use crate::model::chat::{Reply, Request};
use crate::record::Record;
use crate::stages::contract::{Ask, Fault};

/// Records under way beyond what one model takes at once, so that a slow answer at the head
/// of the line does not idle the model.
const SLACK: usize = 64;

/// How often, and for how long each time, readers are waited for that may have enough.
const MOMENTS: u32 = 100;
const MOMENT: Duration = Duration::from_millis(2);

/// What became of one record.
enum Asked {
    /// The replies, and whether something was asked once more.
    Replies(Vec<(Request, Reply)>, bool),
    Lost(Fault),
    NoModel(Box<crate::diag::Diagnostic>),
    Stopped,
    Missing(Tokens),
}

/// An estimate for calls that were not made.
#[derive(Clone, Copy, Default)]
struct Tokens {
    prompt: u64,
    answer: u64,
}

/// Asks about every record and passes the answers on in the records' order.
///
/// # Errors
/// As in [`Worker`].
pub async fn ask(worker: &mut Worker, ask: Arc<dyn Ask>) -> Result<(), Broken> {
    let enough = Halt::default();
    let mut under_way = FuturesOrdered::new();
    let result = feed(worker, &ask, &enough, &mut under_way).await;
    // However it ended: calls under way are paid for, and awaited until they are stored.
    enough.raise(Reason::Interrupted);
    while under_way.next().await.is_some() {}
    result
}

/// Records under way.
type UnderWay = FuturesOrdered<BoxFuture<'static, (Record, Asked)>>;

async fn feed(
    worker: &mut Worker,
    ask: &Arc<dyn Ask>,
    enough: &Halt,
    under_way: &mut UnderWay,
) -> Result<(), Broken> {
    let most = SLACK + widest(worker);
    let mut waiting: VecDeque<Record> = VecDeque::new();
    let mut open = true;
    let mut out = Vec::new();
    let mut ready = VecDeque::new();
    loop {
        let halted = worker.shop.halt.is_raised();
        while !halted && under_way.len() + ready.len() < most {
            let Some(record) = waiting.pop_front() else {
                break;
            };
            if worker.shop.dry {
                worker.keys.insert(record.key.to_string());
            }
            let (shop, ask, enough) = (worker.shop.clone(), ask.clone(), enough.clone());
            // Not tasks of their own: they queue for the model in the records' order.
            under_way.push_back(one(shop, worker.at, ask, enough, record).boxed());
        }
        let wants = open && !halted && waiting.is_empty() && under_way.len() + ready.len() < most;
        if !wants && under_way.is_empty() && ready.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(done) = next(&mut ready, under_way), if !(ready.is_empty() && under_way.is_empty()) => {
                let (record, asked) = done;
                if matches!(asked, Asked::Missing(_)) && enough_without(worker).await {
                    worker.cut = true;
                    return Ok(());
                }
                let mut settled = settle(worker, &**ask, record, asked, &mut out);
                while settled.is_ok() && out.len() < BATCH {
                    match next(&mut ready, under_way).now_or_never().flatten() {
                        // Readers may have enough: they are given what there is before anything
                        // counts as lost.
                        Some(done) if !matches!(done.1, Asked::Replies(..)) => {
                            ready.push_front(done);
                            break;
                        }
                        Some((record, asked)) => {
                            settled = settle(worker, &**ask, record, asked, &mut out);
                        }
                        None => break,
                    }
                }
                let pass_on = async {
                    worker.emit(&mut out).await?;
                    worker.outlet.flush().await;
                    Ok(())
                };
                meanwhile(pass_on, under_way, &mut ready).await?;
                settled?;
                if worker.deserted() {
                    worker.cut = true;
                    return Ok(());
                }
            }
            records = worker.read(0), if wants => match records {
                Some(records) => waiting.extend(records),
                None => open = false,
            },
        }
    }
    if worker.shop.halt.is_raised() {
        return Err(Broken::Elsewhere);
    }
    worker.inputs_ended()
}

/// True when the readers turn out to need no more: what is asked ahead of them may lack an
/// answer without anybody missing it. They get a moment to say so before the first is lost.
async fn enough_without(worker: &Worker) -> bool {
    let moments = match worker.row().failed.get() {
        0 if !worker.shop.dry => MOMENTS,
        _ => 0,
    };
    for _ in 0..moments {
        if worker.deserted() {
            return true;
        }
        tokio::time::sleep(MOMENT).await;
    }
    worker.deserted()
}

/// The next record that is done, in order.
async fn next(
    ready: &mut VecDeque<(Record, Asked)>,
    under_way: &mut UnderWay,
) -> Option<(Record, Asked)> {
    match ready.pop_front() {
        Some(done) => Some(done),
        None => under_way.next().await,
    }
}

/// Waits for the readers, and lets the calls under way go on meanwhile: they hold places at a
/// model that others wait for, and the readers may be waiting for those others.
async fn meanwhile(
    pass_on: impl Future<Output = Result<(), Broken>>,
    under_way: &mut UnderWay,
    ready: &mut VecDeque<(Record, Asked)>,
) -> Result<(), Broken> {
    let mut pass_on = std::pin::pin!(pass_on);
    loop {
        tokio::select! {
            biased;
            passed = &mut pass_on => return passed,
            Some(done) = under_way.next(), if !under_way.is_empty() => ready.push_back(done),
        }
    }
}

/// The concurrency of the widest model of the pipeline.
fn widest(worker: &Worker) -> usize {
    let models = worker.shop.pipe.models.values();
    models.map(|model| model.width()).max().unwrap_or(1)
}

async fn one(
    shop: Shop,
    at: usize,
    ask: Arc<dyn Ask>,
    enough: Halt,
    record: Record,
) -> (Record, Asked) {
    let asked = rounds(&shop, at, &*ask, &enough, &record).await;
    (record, asked.unwrap_or_else(|ended| ended))
}

/// Asks about one record, and once more if the stage wants to. What ends it early is the error.
async fn rounds(
    shop: &Shop,
    at: usize,
    ask: &dyn Ask,
    enough: &Halt,
    record: &Record,
) -> Result<Asked, Asked> {
    let requests = ask.requests(record).map_err(Asked::Lost)?;
    let mut answered = round(shop, at, enough, &record.key, requests).await?;
    let requests = ask.again(record, &answered).map_err(Asked::Lost)?;
    let again = !requests.is_empty();
    if again {
        if !shop.dry {
            shop.board.stages[at].repairs.add(1);
        }
        answered.extend(round(shop, at, enough, &record.key, requests).await?);
    }
    Ok(Asked::Replies(answered, again))
}

async fn round(
    shop: &Shop,
    at: usize,
    enough: &Halt,
    key: &str,
    requests: Vec<Request>,
) -> Result<Vec<(Request, Reply)>, Asked> {
    let row = &shop.board.stages[at];
    let reply = |request| shop.calls.reply(request, row, key, enough);
    let replies: Result<Vec<Reply>, NoReply> = match &requests[..] {
        [request] => reply(request).await.map(|reply| vec![reply]),
        // One that fails says nothing of the others: they are paid for, and count too.
        requests => {
            let replies = join_all(requests.iter().map(reply));
            replies.boxed().await.into_iter().collect()
        }
    };
    match replies {
        Ok(replies) => Ok(requests.into_iter().zip(replies).collect()),
        Err(NoReply::Failed(why)) => Err(Asked::Lost(Fault::Call(why))),
        Err(NoReply::NoModel(fault)) => Err(Asked::NoModel(fault)),
        Err(NoReply::Stopped) => Err(Asked::Stopped),
        Err(NoReply::Missing) => Err(Asked::Missing(estimate(&requests))),
    }
}

fn settle(
    worker: &mut Worker,
    ask: &dyn Ask,
    record: Record,
    asked: Asked,
    out: &mut Vec<Record>,
) -> Result<(), Broken> {
    let key = record.key.clone();
    let took = |worker: &Worker, made: &[Record]| {
        if let Some(lineage) = worker.shop.taps.lineage() {
            lineage.took(worker.at, 0, &key, made);
        }
    };
    if !matches!(asked, Asked::Replies(..)) {
        took(worker, &[]);
    }
    match asked {
        Asked::Replies(answered, again) => {
            let before = out.len();
            let absorbed = ask.absorb(record, answered, out);
            took(worker, out.get(before..).unwrap_or_default());
            match absorbed {
                Ok(()) => {
                    worker.row().repaired.add(u64::from(again));
                    Ok(())
                }
                Err(fault) => worker.fault(&key, fault),
            }
        }
        Asked::Lost(fault) => worker.fault(&key, fault),
        Asked::NoModel(fault) => Err(Broken::Fault(fault)),
        Asked::Stopped => {
            // What was not asked is not lost, but it is not there either.
            worker.cut = true;
            Ok(())
        }
        Asked::Missing(_) if !worker.shop.dry => {
            let why = worker.shop.calls.lose(worker.name(), &key);
            worker.lose(&key, Kind::Call, why);
            Ok(())
        }
        Asked::Missing(tokens) => {
            worker.unanswered = true;
            worker.row().prompt_tokens.add(tokens.prompt);
            worker.row().answer_tokens.add(tokens.answer);
            Ok(())
        }
    }
}

/// Tokens of requests that were not sent: four characters a token is usual for English
/// text; answers are as long as they may be. To count tokens costs none.
fn estimate(requests: &[Request]) -> Tokens {
    let mut tokens = Tokens::default();
    for request in requests {
        let Some(chat) = request.chat() else {
            continue;
        };
        tokens.prompt += chat.tokens();
        tokens.answer += u64::from(request.model.sampling.max_tokens.unwrap_or(0));
    }
    tokens
}
