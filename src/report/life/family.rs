//! A record's relatives: found by going through what each stage made of what, back and forth. Owns
//! who belongs to a record's life; knows nothing of fields. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::engine::lineage::{Key, Link, Links};
use crate::engine::pipe::Pipe;
use crate::engine::survey::Survey;
use crate::engine::taps::Taps;
use crate::plan::graph::Action;

/// A record as a stage emitted it: the stage's index, and its key.
pub type Node = (usize, Key);

/// What the stages of a pipeline made of what.
pub struct Graph {
    /// The stages that each one reads, in order of ports.
    pub inputs: Vec<Vec<usize>>,
    /// The stages, inputs first.
    pub order: Vec<usize>,
    /// What each did.
    pub links: Vec<Links>,
    /// Stages whose groups are records of their own, which live on; of others they are results.
    pub lives_on: Vec<bool>,
}

/// Records by their stage.
type Keys = BTreeMap<usize, HashSet<Key>>;

/// A record's relatives.
#[derive(Debug, Default)]
pub struct Family {
    /// The records with the key itself.
    pub itself: Keys,
    /// What they were made of.
    pub before: Keys,
    /// What was made of them.
    pub after: Keys,
    /// Who was made of whom: first what it was made of.
    pub edges: Vec<(Node, Node)>,
    /// Others that some of them were made of too: each with what was made.
    pub partners: Vec<(Node, Node)>,
    /// Records that were gathered: each with the stage, and what was made of its group.
    pub gathered: Vec<(Node, usize, Vec<Key>)>,
    /// Records that were made of many: how many.
    pub crowds: HashMap<Node, usize>,
    /// How many of those with the key have nothing to do with each other.
    pub apart: usize,
}

impl Graph {
    /// What was noted of a plan that was gone through.
    pub fn of(pipe: &Pipe, plan: &Survey, taps: &Taps) -> Graph {
        let stages = 0..pipe.stages.len();
        let links = |at| taps.lineage().map(|lineage| lineage.take(at));
        let inputs = pipe.stages.iter().map(|stage| stage.inputs.clone());
        let groups = pipe.stages.iter().map(|stage| stage.verb.name() == "group");
        let mut graph = Graph {
            inputs: inputs.collect(),
            order: as_written(pipe),
            links: stages.map(|at| links(at).unwrap_or_default()).collect(),
            lives_on: groups.collect(),
        };
        for &at in &pipe.order {
            if plan.planned[at].action == Action::Read {
                graph.reread(at);
            }
        }
        graph
    }

    /// Makes up for stages whose records were read from the cache, so that nobody could note
    /// what they were made of: these verbs leave keys as they are.
    pub fn reread(&mut self, stage: usize) {
        let mut read: Vec<(usize, Key)> = Vec::new();
        for (port, from) in self.inputs[stage].iter().enumerate() {
            let keys = self.links[*from].emitted.iter();
            read.extend(keys.map(|key| (port, key.clone())));
        }
        let links = &mut self.links[stage];
        let emitted: HashSet<&Key> = links.emitted.iter().collect();
        let kept = read.iter().filter(|(_, key)| emitted.contains(key));
        links.made = kept
            .map(|(port, key)| Link {
                port: *port,
                from: key.clone(),
                to: key.clone(),
            })
            .collect();
        links.read = read;
    }

    /// Everything that a key names, and all that belongs to it; none if there is no such key.
    pub fn family(&self, key: &str, stage: Option<usize>) -> Option<Family> {
        let mut family = Family::default();
        for &at in &self.order {
            let found = self.links[at].emitted.iter().find(|known| ***known == *key);
            if let Some(known) = found.filter(|_| stage.is_none_or(|only| only == at)) {
                family.itself.entry(at).or_default().insert(known.clone());
            }
        }
        if family.itself.is_empty() {
            return None;
        }
        let back = self.back(&mut family);
        let forth = self.forth(&mut family);
        family.apart = apart(&family);
        let without = |keys: Keys, family: &Family| -> Keys {
            let keys = keys.into_iter().map(|(at, mut keys)| {
                keys.retain(|key| !family.is_itself(at, key));
                (at, keys)
            });
            keys.collect()
        };
        family.before = without(back, &family);
        family.after = without(forth, &family);
        family.partners = self.partners(&family);
        Some(family)
    }

    /// The records that were joined to what was made of a family.
    fn partners(&self, family: &Family) -> Vec<(Node, Node)> {
        let mut partners = Vec::new();
        let has = |keys: &Keys, at: usize, key: &Key| {
            keys.get(&at).is_some_and(|keys| keys.contains(key))
        };
        for &at in &self.order {
            for link in &self.links[at].made {
                if !has(&family.after, at, &link.to) {
                    continue;
                }
                let from = self.from(at, link.port);
                let other = from.filter(|from| {
                    let known = [&family.itself, &family.after];
                    !known.into_iter().any(|keys| has(keys, *from, &link.from))
                });
                if let Some(from) = other {
                    partners.push(((from, link.from.clone()), (at, link.to.clone())));
                }
            }
        }
        partners
    }

    fn from(&self, stage: usize, port: usize) -> Option<usize> {
        self.inputs[stage].get(port).copied()
    }

    fn back(&self, family: &mut Family) -> Keys {
        let mut found = family.itself.clone();
        for &at in self.order.iter().rev() {
            let Some(wanted) = found.get(&at).filter(|keys| !keys.is_empty()).cloned() else {
                continue;
            };
            let links = &self.links[at];
            for link in links.made.iter().filter(|link| wanted.contains(&link.to)) {
                let Some(from) = self.from(at, link.port) else {
                    continue;
                };
                found.entry(from).or_default().insert(link.from.clone());
                let of = (from, link.from.clone());
                family.edges.push((of, (at, link.to.clone())));
            }
            for (group, made) in links.groups.iter().enumerate() {
                let members = links.members.iter().filter(|(_, _, of)| *of == group);
                for key in made.iter().filter(|key| wanted.contains(*key)) {
                    let count = members.clone().count();
                    family.crowds.insert((at, key.clone()), count);
                    // One of one is as good as made of it.
                    let only = members.clone().next().filter(|_| count == 1);
                    if let Some((port, member, _)) = only
                        && let Some(from) = self.from(at, *port)
                    {
                        found.entry(from).or_default().insert(member.clone());
                        let of = (from, member.clone());
                        family.edges.push((of, (at, key.clone())));
                    }
                }
            }
        }
        found
    }

    fn forth(&self, family: &mut Family) -> Keys {
        let mut found = family.itself.clone();
        let known: HashSet<(Node, Node)> = family.edges.iter().cloned().collect();
        for &at in &self.order {
            let links = &self.links[at];
            let is_found = |found: &Keys, port: usize, key: &Key| {
                let from = self.from(at, port)?;
                let keys = found.get(&from)?;
                keys.contains(key).then_some(from)
            };
            for link in &links.made {
                let Some(from) = is_found(&found, link.port, &link.from) else {
                    continue;
                };
                found.entry(at).or_default().insert(link.to.clone());
                let edge = ((from, link.from.clone()), (at, link.to.clone()));
                if !known.contains(&edge) {
                    family.edges.push(edge);
                }
            }
            for (port, key, group) in &links.members {
                let Some(from) = is_found(&found, *port, key) else {
                    continue;
                };
                let made = links.groups.get(*group).cloned().unwrap_or_default();
                if self.lives_on[at] {
                    for made in &made {
                        found.entry(at).or_default().insert(made.clone());
                        let crowd = links.members.iter().filter(|(_, _, of)| of == group);
                        family.crowds.insert((at, made.clone()), crowd.count());
                        let edge = ((from, key.clone()), (at, made.clone()));
                        if !known.contains(&edge) {
                            family.edges.push(edge);
                        }
                    }
                } else {
                    family.gathered.push(((from, key.clone()), at, made));
                }
            }
        }
        found
    }
}

impl Family {
    fn is_itself(&self, stage: usize, key: &Key) -> bool {
        self.itself
            .get(&stage)
            .is_some_and(|keys| keys.contains(key))
    }

    /// All of them.
    pub fn all(&self) -> Keys {
        let mut all = self.itself.clone();
        for (at, keys) in self.before.iter().chain(&self.after) {
            let known = all.entry(*at).or_default();
            known.extend(keys.iter().cloned());
        }
        all
    }
}

/// The stages as the file has them, but inputs first.
fn as_written(pipe: &Pipe) -> Vec<usize> {
    let mut left: Vec<HashSet<usize>> = pipe.stages.iter().map(|s| s.sources().collect()).collect();
    let free = (0..left.len()).filter(|at| left[*at].is_empty());
    let mut free: BTreeSet<usize> = free.collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); left.len()];
    for (at, sources) in left.iter().enumerate() {
        for from in sources {
            readers[*from].push(at);
        }
    }
    let mut order = Vec::with_capacity(left.len());
    while let Some(at) = free.pop_first() {
        order.push(at);
        for reader in &readers[at] {
            left[*reader].remove(&at);
            if left[*reader].is_empty() {
                free.insert(*reader);
            }
        }
    }
    order
}

/// How many of the records with the key are not related to another of them.
fn apart(family: &Family) -> usize {
    let mut of: HashMap<&Node, usize> = HashMap::new();
    let mut parents: Vec<usize> = Vec::new();
    fn root(parents: &mut [usize], mut at: usize) -> usize {
        while parents[at] != at {
            parents[at] = parents[parents[at]];
            at = parents[at];
        }
        at
    }
    for (a, b) in &family.edges {
        let mut place = |node| {
            *of.entry(node).or_insert_with(|| {
                parents.push(parents.len());
                parents.len() - 1
            })
        };
        let (a, b) = (place(a), place(b));
        let (a, b) = (root(&mut parents, a), root(&mut parents, b));
        parents[a] = b;
    }
    let itself = family.itself.iter();
    let nodes = itself.flat_map(|(at, keys)| keys.iter().map(|key| (*at, key.clone())));
    let mut alone = 0;
    let mut roots = HashSet::new();
    for node in nodes {
        match of.get(&node) {
            Some(place) => {
                roots.insert(root(&mut parents, *place));
            }
            None => alone += 1,
        }
    }
    alone + roots.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(port: usize, from: &str, to: &str) -> Link {
        Link {
            port,
            from: from.into(),
            to: to.into(),
        }
    }

    fn did(made: Vec<Link>) -> Links {
        let read = made.iter().map(|link| (link.port, link.from.clone()));
        let mut emitted: Vec<Key> = made.iter().map(|link| link.to.clone()).collect();
        emitted.dedup();
        Links {
            read: read.collect(),
            made,
            emitted,
            ..Links::default()
        }
    }

    fn told(keys: &Keys) -> String {
        let all = keys.iter().flat_map(|(at, keys)| {
            let mut keys: Vec<&Key> = keys.iter().collect();
            keys.sort();
            keys.into_iter().map(move |key| format!("{at}:{key}"))
        });
        all.collect::<Vec<_>>().join(" ")
    }

    /// 0 loads `1` and `2`, 1 explodes them, 2 loads `1` of something else, 3 joins 1 and 2,
    /// 4 groups all.
    fn graph() -> Graph {
        let load = |keys: &[&str]| Links {
            emitted: keys.iter().map(|key| Key::from(*key)).collect(),
            ..Links::default()
        };
        Graph {
            inputs: vec![vec![], vec![0], vec![], vec![1, 2], vec![3]],
            order: vec![0, 1, 2, 3, 4],
            links: vec![
                load(&["1", "2"]),
                did(vec![
                    link(0, "1", "1#0"),
                    link(0, "1", "1#1"),
                    link(0, "2", "2#0"),
                ]),
                load(&["1"]),
                did(vec![link(0, "1#0", "1#0"), link(1, "1", "1#0")]),
                Links {
                    read: vec![(0, "1#0".into())],
                    members: vec![(0, "1#0".into(), 0)],
                    groups: vec![vec!["all".into()]],
                    emitted: vec!["all".into()],
                    ..Links::default()
                },
            ],
            lives_on: vec![false; 5],
        }
    }

    #[test]
    fn relatives_are_those_that_were_made_of_each_other() {
        let graph = graph();
        let family = graph.family("1#0", None).expect("there");
        assert_eq!(told(&family.itself), "1:1#0 3:1#0");
        assert_eq!(told(&family.before), "0:1 2:1");
        assert_eq!(told(&family.after), "");
        assert_eq!(family.apart, 1);
        assert_eq!(family.gathered.len(), 1);
        // One key, two records that only a join brings together.
        let family = graph.family("1", None).expect("there");
        assert_eq!(told(&family.itself), "0:1 2:1");
        assert_eq!(told(&family.after), "1:1#0 1:1#1 3:1#0");
        let family = graph.family("2", None).expect("there");
        assert_eq!(told(&family.all()), "0:2 1:2#0");
        assert!(graph.family("3", None).is_none());
        assert!(graph.family("1", Some(1)).is_none());
    }

    #[test]
    fn what_is_read_from_the_cache_kept_its_key() {
        let mut graph = graph();
        graph.links[3] = Links {
            emitted: vec!["2#0".into()],
            ..Links::default()
        };
        graph.reread(3);
        let family = graph.family("2", None).expect("there");
        assert_eq!(told(&family.after), "1:2#0 3:2#0");
    }

    #[test]
    fn a_group_tells_how_many_it_is_made_of() {
        let mut graph = graph();
        graph.links[4].members.push((0, "2#0".into(), 0));
        let family = graph.family("all", None).expect("there");
        assert_eq!(family.crowds.values().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(told(&family.before), "");
        graph.lives_on[4] = true;
        let family = graph.family("1#1", None).expect("there");
        assert_eq!(told(&family.after), "");
        let family = graph.family("1#0", None).expect("there");
        assert_eq!(told(&family.after), "4:all");
    }
}
