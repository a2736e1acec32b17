//! What a run may spend on calls. Owns the sums; knows nothing of models or records.
//!
//! A limit is asked before a call begins. Calls under way when it is reached are awaited and
//! kept, so tokens and cost can go beyond by what those need; calls cannot.

use std::sync::{Mutex, PoisonError};

use crate::model::chat::Reply;
use crate::model::spec::Price;

/// Limits of a run; none are no limits. Answers from the cache cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens of prompts and answers, as the servers count.
    pub tokens: Option<u64>,
    /// Cost, in the currency of the models' prices.
    pub cost: Option<f64>,
}

/// What was spent of some limits.
#[derive(Debug, Default)]
pub struct Budget {
    limits: Limits,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    calls: u64,
    tokens: u64,
    cost: f64,
}

impl Budget {
    /// A budget of which nothing is spent.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            limits,
            spent: Mutex::default(),
        }
    }

    /// Counts a call that is about to begin.
    ///
    /// # Errors
    /// Which limit is reached, in words: the call must not begin.
    pub fn begin(&self) -> Result<(), String> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let Limits {
            calls,
            tokens,
            cost,
        } = self.limits;
        if let Some(most) = calls.filter(|most| spent.calls >= *most) {
            return Err(format!("the {most} calls of `--max-calls`"));
        }
        if let Some(most) = tokens.filter(|most| spent.tokens >= *most) {
            return Err(format!("the {most} tokens of `--max-tokens`"));
        }
        if let Some(most) = cost.filter(|most| spent.cost >= *most) {
            return Err(format!("the {most} of `--max-cost`"));
        }
        spent.calls += 1;
        Ok(())
    }

    /// Counts what a call took.
    pub fn spend(&self, reply: &Reply, price: Option<Price>) {
        let prompt = reply.prompt_tokens.unwrap_or(0);
        let answer = reply.answer_tokens.unwrap_or(0);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.tokens = spent.tokens.saturating_add(prompt).saturating_add(answer);
        spent.cost += price.map_or(0.0, |price| price.of(prompt, answer));
    }

    /// The cost so far, in the currency of the models' prices.
    pub fn cost(&self) -> f64 {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(prompt: u64, answer: u64) -> Reply {
        Reply {
            prompt_tokens: Some(prompt),
            answer_tokens: Some(answer),
            ..Reply::default()
        }
    }

    #[test]
    fn each_limit_stops_at_its_own() {
        let budget = Budget::new(Limits {
            calls: Some(2),
            ..Limits::default()
        });
        assert_eq!(budget.begin().and(budget.begin()), Ok(()));
        assert_eq!(
            budget.begin(),
            Err("the 2 calls of `--max-calls`".to_owned())
        );

        let price = Price {
            prompt: 1.0,
            answer: 10.0,
        };
        for (limits, why) in [
            (
                Limits {
                    tokens: Some(300),
                    ..Limits::default()
                },
                "the 300 tokens of `--max-tokens`",
            ),
            (
                Limits {
                    cost: Some(0.002),
                    ..Limits::default()
                },
                "the 0.002 of `--max-cost`",
            ),
        ] {
            let budget = Budget::new(limits);
            let mut made = 0;
            let told = loop {
                match budget.begin() {
                    Ok(()) => budget.spend(&reply(100, 100), Some(price)),
                    Err(why) => break why,
                }
                made += 1;
            };
            // 200 tokens a call, at 100 × 1 and 100 × 10 millionths.
            assert_eq!((made, told.as_str()), (2, why));
        }
    }

    #[test]
    fn no_limits_never_stop() {
        let budget = Budget::default();
        assert!((0..1000).all(|_| budget.begin().is_ok()));
    }
}
