//! A record's relatives: found by going through what each stage made of what, back and forth. Owns
//! who belongs to a record's life; knows nothing of fields. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::graph::{Graph, Node};
use crate::engine::lineage::{Key, Links};

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
            let crowds = crowds(links);
            for (group, made) in links.groups.iter().enumerate() {
                let (count, first) = crowds.get(&group).copied().unwrap_or_default();
                for key in made.iter().filter(|key| wanted.contains(*key)) {
                    family.crowds.insert((at, key.clone()), count);
                    // One of one is as good as made of it.
                    let only = first.filter(|_| count == 1);
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
            let crowds = crowds(links);
            for (port, key, group) in &links.members {
                let Some(from) = is_found(&found, *port, key) else {
                    continue;
                };
                let made = links.groups.get(*group).cloned().unwrap_or_default();
                if self.lives_on[at] {
                    for made in &made {
                        found.entry(at).or_default().insert(made.clone());
                        let crowd = crowds.get(group).map_or(0, |(count, _)| *count);
                        family.crowds.insert((at, made.clone()), crowd);
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

/// A record that was gathered: port, key, and the number of its group.
type Member = (usize, Key, usize);

/// How many records each group has, and its first.
fn crowds(links: &Links) -> HashMap<usize, (usize, Option<&Member>)> {
    let mut crowds: HashMap<usize, (usize, Option<&Member>)> = HashMap::new();
    for member in &links.members {
        let (count, first) = crowds.entry(member.2).or_default();
        *count += 1;
        first.get_or_insert(member);
    }
    crowds
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
    use crate::engine::lineage::Link;

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
