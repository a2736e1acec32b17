//! All files that are wanted: which need the network, their published sums, and the downloads,
//! some at a time. Tells what happens as events; asks nobody and prints nothing.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use reqwest::Url;
use tokio::sync::mpsc::UnboundedSender;

use super::aside::aside;
use super::catalogue::{Account, Catalogue, Dataset, Item};
use super::download::{Getting, Got};
use super::error::Why;
use super::meter::Meter;
use super::shelf::{State, look};
use super::sums::{self, Sum, Sums};
use super::web::{Ask, Web};

/// Files that are fetched at a time: servers give each connection its share.
const AT_ONCE: usize = 4;

/// A file that is wanted.
pub struct Want<'a> {
    /// Its data set.
    pub dataset: &'a Dataset,
    /// The file.
    pub item: &'a Item,
    /// What there is of it.
    pub state: Result<State, Why>,
    /// The sum that was kept of it in the data folder, be the file there or not.
    pub kept: Option<Sum>,
    /// How far it is.
    pub meter: Meter,
}

/// How to go about it.
pub struct How<'a> {
    /// The data folder.
    pub folder: &'a Path,
    /// True to fetch what is there once more.
    pub again: bool,
    /// Failures in a row that are forgiven.
    pub retries: u32,
    /// The longest silence that is waited through.
    pub patience: Duration,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was there.
    Present(Got),
    /// It was there, and its sum is kept from now on, since none is published.
    Adopted(Got),
    /// It was fetched, and its sum is the right one.
    Verified(Got),
    /// It was fetched, and its sum is kept from now on, since none is published.
    Fetched(Got),
    /// It was fetched once more, and is what it was before; no sum is published.
    Same(Got),
    /// It was fetched once more, as was wished, and is another file than before.
    Other(Got, Sum),
}

/// What the sum of a file is held against.
#[derive(Clone, Copy)]
enum Expected {
    /// The catalogue's sum, or the published one.
    Published(Sum),
    /// The sum that was kept of an earlier download.
    Kept(Sum),
    /// Any file will do.
    Any,
}

impl Expected {
    fn sum(self) -> Option<Sum> {
        match self {
            Expected::Published(sum) | Expected::Kept(sum) => Some(sum),
            Expected::Any => None,
        }
    }
}

/// Something happened to the file of this number.
pub enum Event {
    /// Its download begins.
    Begin(usize),
    /// It is done with.
    End(usize, Box<Result<Done, Why>>),
}

impl<'a> Want<'a> {
    /// Looks at what there is of the files of some data sets.
    ///
    /// # Errors
    /// The list of sums in the data folder cannot be read.
    pub fn all(
        datasets: impl Iterator<Item = &'a Dataset>,
        folder: &Path,
    ) -> Result<Vec<Want<'a>>, Why> {
        let kept = Sums::kept(folder)?;
        let files = datasets.flat_map(|set| set.files.iter().map(move |item| (set, item)));
        let want = |(dataset, item)| Want {
            dataset,
            item,
            state: look(folder, item, &kept),
            kept: kept.get(&item.to),
            meter: Meter::default(),
        };
        Ok(files.map(want).collect())
    }

    /// True when somebody must be asked for it.
    pub fn needs_network(&self, again: bool) -> bool {
        match &self.state {
            Err(_) => false,
            Ok(_) if again => true,
            Ok(State::Absent | State::Part { .. }) => true,
            Ok(State::Unchecked { .. }) => self.dataset.sums.is_some(),
            Ok(State::Right { .. } | State::Wrong { .. }) => false,
        }
    }
}

/// Fetches what is not there. Every file ends with one [`Event::End`].
pub async fn fetch(
    catalogue: &Catalogue,
    wants: &[Want<'_>],
    how: &How<'_>,
    events: &UnboundedSender<Event>,
) {
    let fetching = Fetching {
        catalogue,
        how,
        web: Web::new(how.patience),
        events,
    };
    let lists = fetching.lists(wants).await;
    let files = wants.iter().enumerate().map(|(at, want)| {
        let (fetching, lists) = (&fetching, &lists);
        async move {
            let done = fetching.file(at, want, lists).await;
            let _ = events.send(Event::End(at, Box::new(done)));
        }
    });
    let mut files = futures::stream::iter(files).buffer_unordered(AT_ONCE);
    while files.next().await.is_some() {}
}

struct Fetching<'a> {
    catalogue: &'a Catalogue,
    how: &'a How<'a>,
    web: Web,
    events: &'a UnboundedSender<Event>,
}

/// Published lists of sums by their addresses.
type Lists<'a> = HashMap<&'a Url, Result<Sums, Why>>;

impl Fetching<'_> {
    fn account(&self, dataset: &Dataset) -> Option<&Account> {
        dataset
            .account
            .and_then(|at| self.catalogue.accounts.get(at))
    }

    fn getting<'b>(&'b self, dataset: &Dataset, url: &'b Url) -> Getting<'b> {
        Getting {
            web: &self.web,
            ask: Ask {
                url,
                account: self.account(dataset),
                from: None,
            },
            retries: self.how.retries,
        }
    }

    /// The lists of sums that are needed.
    async fn lists<'b>(&self, wants: &'b [Want<'b>]) -> Lists<'b> {
        let mut lists = Lists::new();
        for want in wants {
            let Some(url) = &want.dataset.sums else {
                continue;
            };
            let known = want.item.sha256.is_some() || !want.needs_network(self.how.again);
            if !known && !lists.contains_key(url) {
                lists.insert(url, self.getting(want.dataset, url).sums().await);
            }
        }
        lists
    }

    /// The sum that a file must have: the catalogue's, or the published one, or else the one
    /// that was kept, unless the file is wished for once more.
    fn expected(&self, want: &Want<'_>, lists: &Lists<'_>) -> Result<Expected, Why> {
        if let Some(sum) = want.item.sha256 {
            return Ok(Expected::Published(sum));
        }
        let list = want.dataset.sums.as_ref().and_then(|url| {
            let list = lists.get(url)?;
            Some((url, list))
        });
        if let Some((url, list)) = list {
            let sums = list.as_ref().map_err(Why::clone)?;
            let unlisted = || Why::Unlisted {
                host: super::web::host(url),
            };
            let sum = sums.get(&want.item.listed).ok_or_else(unlisted)?;
            return Ok(Expected::Published(sum));
        }
        Ok(match want.kept.filter(|_| !self.how.again) {
            Some(sum) => Expected::Kept(sum),
            None => Expected::Any,
        })
    }

    async fn keep(&self, item: &Item, sum: Sum) -> Result<(), Why> {
        let (folder, name) = (self.how.folder.to_owned(), item.to.clone());
        aside(move || sums::keep(&folder, &name, sum)).await
    }

    async fn file(&self, at: usize, want: &Want<'_>, lists: &Lists<'_>) -> Result<Done, Why> {
        let state = want.state.clone()?;
        let (folder, item) = (self.how.folder, want.item);
        if !self.how.again {
            match state {
                State::Right { bytes, sum } => {
                    return Ok(Done::Present(Got {
                        bytes,
                        sum,
                        end_told: true,
                    }));
                }
                State::Wrong {
                    expected, found, ..
                } => return Err(Why::Sum { expected, found }),
                State::Unchecked { bytes } => {
                    let expected = self.expected(want, lists)?.sum();
                    let path = folder.join(&item.to);
                    let found = aside(move || sums::of_file(&path)).await?;
                    return match expected {
                        Some(expected) if expected != found => Err(Why::Sum { expected, found }),
                        expected => {
                            self.keep(item, found).await?;
                            let got = Got {
                                bytes,
                                sum: found,
                                end_told: true,
                            };
                            Ok(match expected {
                                Some(_) => Done::Present(got),
                                None => Done::Adopted(got),
                            })
                        }
                    };
                }
                State::Absent | State::Part { .. } => {}
            }
        }
        let expected = self.expected(want, lists)?;
        let _ = self.events.send(Event::Begin(at));
        let got = self
            .getting(want.dataset, &item.url)
            .file(&folder.join(&item.to), expected.sum(), &want.meter)
            .await
            .map_err(|why| match (why, expected) {
                (Why::Sum { found, .. }, Expected::Kept(kept)) => Why::Changed { kept, found },
                (why, _) => why,
            })?;
        self.keep(item, got.sum).await?;
        Ok(match (expected, want.kept) {
            (Expected::Published(_), _) => Done::Verified(got),
            (_, None) => Done::Fetched(got),
            (_, Some(kept)) if kept == got.sum => Done::Same(got),
            (_, Some(kept)) => Done::Other(got, kept),
        })
    }
}
