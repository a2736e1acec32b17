//! The pool, with servers that are played.

use super::state::PASSED_OVER;
use super::*;
use crate::model::chat::{Chat, Question, Role, Turn};

const QUICK: Backoff = Backoff {
    base: Duration::from_millis(20),
    cap: Duration::from_millis(40),
};

fn pool(limits: Vec<Limit>, patience: u64) -> Arc<Pool> {
    let waits = Waits {
        backoff: QUICK,
        first_tries: 3,
        patience: Duration::from_millis(patience),
    };
    Pool::new(limits, Pace::default(), waits, Box::new(|_| {}))
}

async fn soon(pool: &Arc<Pool>, want: Want) -> Option<Result<Permit, Lost>> {
    let wait = pool.acquire(want, false);
    tokio::time::timeout(Duration::from_millis(5), wait)
        .await
        .ok()
}

async fn at(pool: &Arc<Pool>) -> Permit {
    soon(pool, Want::default())
        .await
        .expect("room")
        .expect("a server")
}

#[tokio::test]
async fn requests_are_shared_out_evenly() {
    let pool = pool(vec![Limit::up_to(4), Limit::up_to(4)], 1000);
    let mut held = Vec::new();
    for round in 0..100 {
        held.push(at(&pool).await);
        if held.len() == 8 {
            held.remove(round % 8).end(End::Answered(None));
        }
    }
    let sent = pool.sent();
    assert_eq!(sent.iter().sum::<u64>(), 100);
    assert!(sent[0].abs_diff(sent[1]) <= 10, "{sent:?}");
}

#[tokio::test]
async fn one_that_is_away_is_left_out_until_it_is_back() {
    let pool = pool(vec![Limit::up_to(9), Limit::up_to(9)], 60_000);
    at(&pool).await.end(End::Answered(None));
    let gone = at(&pool).await;
    let which = gone.at();
    gone.end(End::Absent);
    for _ in 0..5 {
        let permit = at(&pool).await;
        assert_ne!(permit.at(), which);
        permit.end(End::Answered(None));
    }
    tokio::time::sleep(QUICK.base * 2).await;
    // It is tried with one request, and comes back with its answer.
    let (one, two) = (at(&pool).await, at(&pool).await);
    let tried = [&one, &two].into_iter().filter(|p| p.at() == which).count();
    assert_eq!(tried, 1);
    one.end(End::Answered(None));
    two.end(End::Answered(None));
    let permits = [at(&pool).await, at(&pool).await];
    assert_eq!(permits.iter().filter(|p| p.at() == which).count(), 1);
}

#[tokio::test]
async fn a_server_that_comes_back_in_time_loses_nothing() {
    let pool = pool(vec![Limit::up_to(2)], 60_000);
    at(&pool).await.end(End::Answered(None));
    for _ in 0..4 {
        let permit = pool.acquire(Want::default(), true).await.expect("hope");
        permit.end(End::Absent);
    }
    let permit = pool.acquire(Want::default(), true).await.expect("hope");
    permit.end(End::Answered(None));
    assert!(soon(&pool, Want::default()).await.is_some());
}

#[tokio::test]
async fn patience_ends_and_then_nobody_waits() {
    let pool = pool(vec![Limit::up_to(2)], 50);
    at(&pool).await.end(End::Answered(None));
    let start = Instant::now();
    let mut tries = 0;
    while let Ok(permit) = pool.acquire(Want::default(), true).await {
        permit.end(End::Absent);
        tries += 1;
    }
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!((2..=6).contains(&tries), "{tries}");
    assert!(matches!(
        soon(&pool, Want::default()).await,
        Some(Err(Lost))
    ));
}

#[tokio::test]
async fn held_servers_are_neither_asked_nor_given_up() {
    let pool = pool(vec![Limit::up_to(2)], 0);
    at(&pool).await.end(End::Answered(None));
    pool.hold(true);
    assert!(soon(&pool, Want::default()).await.is_none());
    pool.hold(false);
    assert!(soon(&pool, Want::default()).await.is_some());
    pool.lose();
    assert!(matches!(
        soon(&pool, Want::default()).await,
        Some(Err(Lost))
    ));
}

#[tokio::test]
async fn one_alarm_is_enough() {
    let pool = pool(vec![Limit::up_to(1)], 1000);
    let far = Instant::now() + Duration::from_secs(60);
    for sooner in 0..100 {
        let when = far.checked_sub(Duration::from_millis(sooner)).unwrap();
        pool.wake(&mut pool.state(), when);
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
}

#[tokio::test]
async fn whoever_gives_up_leaves_room() {
    let pool = pool(vec![Limit::up_to(1)], 1000);
    let held = at(&pool).await;
    assert!(soon(&pool, Want::default()).await.is_none());
    held.end(End::Answered(None));
    drop(at(&pool).await);
    drop(at(&pool).await);
}

fn note(name: &str, question: &str) -> Want {
    let turn = Turn {
        role: Role::User,
        text: format!("{}{question}", name.repeat(600)),
    };
    let chat = Chat {
        turns: vec![turn],
        ..Chat::default()
    };
    Want {
        sketch: Sketch::of(&Question::Chat(chat)),
        ..Want::default()
    }
}

/// The notes of those who wait come to a server of one slot in this order.
async fn order(notes: &[&'static str]) -> String {
    let pool = pool(vec![Limit::up_to(1)], 1000);
    let first = at(&pool).await;
    let asked = notes.iter().enumerate().map(|(index, name)| {
        let pool = pool.clone();
        async move {
            let permit = pool.acquire(note(name, &index.to_string()), false).await;
            permit.expect("a server").end(End::Answered(None));
            *name
        }
    });
    let mut tasks = futures::stream::FuturesUnordered::from_iter(asked);
    let mut order = String::new();
    let poll = async {
        use futures::StreamExt;
        while let Some(name) = tasks.next().await {
            order.push_str(name);
        }
    };
    let release = async {
        tokio::task::yield_now().await;
        first.end(End::Answered(None));
    };
    tokio::join!(poll, release);
    order
}

#[tokio::test]
async fn prompts_that_begin_alike_follow_each_other() {
    assert_eq!(order(&["a", "b", "c", "a", "b", "c"]).await, "aabbcc");
    // But nobody is passed over for ever.
    let mut many = vec!["a"; 1];
    many.push("b");
    many.extend(vec!["a"; 60]);
    let came = order(&many).await;
    assert_eq!(came.find('b'), Some(1 + PASSED_OVER as usize), "{came}");
}
