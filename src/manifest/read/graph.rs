//! The steps of a command and what each waits for: ids, needs and cycles.
//!
//! Works on words as written, so that a step whose id is broken is not also reported as missing by those that need it.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::model::Spanned;
use crate::manifest::read::complaints::{Complaints, quoted};

/// Names shown of a cycle.
const SHOWN: usize = 10;

/// A step's id and needs, as written.
#[derive(Debug)]
pub(super) struct Links {
    /// Its id.
    pub(super) id: Spanned<String>,
    /// What it needs; absent: the step before.
    pub(super) needs: Option<Vec<Spanned<String>>>,
}

/// What is known about the steps of a command.
#[derive(Debug)]
pub(super) struct Graph {
    /// Ids in the file's order; a second one of the same name is not among them.
    index: BTreeMap<String, usize>,
    /// The same in lower case.
    folded: BTreeMap<String, usize>,
    /// For each step the steps that end before it, as bits; absent when there is a cycle.
    before: Option<Vec<Bits>>,
}

impl Graph {
    /// Whether there is a step of that id.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.index.contains_key(id)
    }

    /// Complains about the id of a step that there is not.
    pub(super) fn unknown(&self, id: &Spanned<String>, out: &mut Complaints) {
        let near = out.nearest(&id.value, self.index.keys().map(String::as_str));
        let mut diagnostic = Diagnostic::error(
            "unknown-step",
            id.span,
            format!("there is no step {} in this command", quoted(&id.value)),
        );
        diagnostic.help = near.map(|near| format!("write `{near}`"));
        out.push(diagnostic);
    }

    /// The place of a step in the file, found as expressions find it: without regard to case.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.folded.get(&id.to_ascii_lowercase()).copied()
    }

    /// Whether `earlier` has ended when `step` starts. True where a cycle makes it unknowable.
    pub(super) fn ends_before(&self, earlier: usize, step: usize) -> bool {
        self.before.as_ref().and_then(|before| before.get(step)).is_none_or(|bits| bits.has(earlier))
    }
}

/// Complains about ids that are not unique, unknown needs and cycles.
pub(super) fn check(steps: &[Links], out: &mut Complaints) -> Graph {
    let mut index = BTreeMap::new();
    let mut folded: BTreeMap<String, usize> = BTreeMap::new();
    for (place, step) in steps.iter().enumerate() {
        if let Some(first) =
            folded.get(&step.id.value.to_ascii_lowercase()).and_then(|first| steps.get(*first))
        {
            let message = format!("two steps have the id {}", quoted(&step.id.value));
            let diagnostic = Diagnostic::error("duplicate-id", step.id.span, message)
                .help("write an `id` that no other step has")
                .related(first.id.span, "the other");
            out.push(diagnostic);
        } else {
            folded.insert(step.id.value.to_ascii_lowercase(), place);
            index.insert(step.id.value.clone(), place);
        }
    }
    let mut graph = Graph { index, folded, before: None };
    let edges: Vec<Vec<Edge>> =
        steps.iter().enumerate().map(|(place, step)| edges(place, step, &graph, out)).collect();
    graph.before = before(&edges);
    if graph.before.is_none() {
        cycles(steps, &edges, out);
    }
    graph
}

/// One need: the step that must end before, and where that is written.
#[derive(Clone, Copy)]
struct Edge {
    to: usize,
    span: Span,
}

fn edges(place: usize, step: &Links, graph: &Graph, out: &mut Complaints) -> Vec<Edge> {
    let Some(needs) = &step.needs else {
        return place.checked_sub(1).map(|to| Edge { to, span: step.id.span }).into_iter().collect();
    };
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    let mut edges = Vec::new();
    for need in needs {
        if let Some(first) = seen.insert(&need.value, need.span) {
            let message = format!("{} is listed twice", quoted(&need.value));
            out.push(Diagnostic::error("duplicate-value", need.span, message).related(first, "first here"));
        } else if need.value == step.id.value {
            out.error("cycle", need.span, format!("the step {} needs itself", quoted(&need.value)));
        } else if let Some(to) = graph.index.get(&need.value) {
            edges.push(Edge { to: *to, span: need.span });
        } else {
            graph.unknown(need, out);
        }
    }
    edges
}

/// For each step all that end before it, by Kahn's order; absent when there is a cycle.
fn before(edges: &[Vec<Edge>]) -> Option<Vec<Bits>> {
    let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (step, needs) in edges.iter().enumerate() {
        for need in needs {
            dependents[need.to].push(step);
        }
    }
    let mut before = vec![Bits::new(edges.len()); edges.len()];
    let mut ready: Vec<usize> = (0..edges.len()).filter(|step| waiting[*step] == 0).collect();
    let mut done = 0;
    while let Some(step) = ready.pop() {
        done += 1;
        let own = before[step].clone();
        for dependent in &dependents[step] {
            before[*dependent].add(&own, step);
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.push(*dependent);
            }
        }
    }
    (done == edges.len()).then_some(before)
}

/// Complains about one cycle of each knot. Walks with a stack of its own: a thousand steps in a row shall not use up the
/// program's.
fn cycles(steps: &[Links], edges: &[Vec<Edge>], out: &mut Complaints) {
    let mut done = BTreeSet::new();
    for start in 0..steps.len() {
        // Each entry is a step on the way here and the number of its needs that were followed.
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        let mut on_path = BTreeSet::from([start]);
        while let Some((step, followed)) = path.last_mut() {
            let step = *step;
            let next = if done.contains(&step) { None } else { edges[step].get(*followed) };
            *followed += 1;
            match next {
                Some(edge) if on_path.contains(&edge.to) => {
                    report(steps, &path, *edge, out);
                    done.extend(on_path.iter());
                }
                Some(edge) if !done.contains(&edge.to) => {
                    on_path.insert(edge.to);
                    path.push((edge.to, 0));
                }
                Some(_) => {}
                None => {
                    done.insert(step);
                    on_path.remove(&step);
                    path.pop();
                }
            }
        }
    }
}

fn report(steps: &[Links], path: &[(usize, usize)], closing: Edge, out: &mut Complaints) {
    let cycle = path.iter().map(|(step, _)| *step).skip_while(|step| *step != closing.to);
    let mut names: Vec<&str> = cycle
        .chain([closing.to])
        .filter_map(|step| steps.get(step))
        .map(|step| step.id.value.as_str())
        .collect();
    if names.len() > SHOWN {
        names.splice(SHOWN - 2..names.len() - 1, ["…"]);
    }
    let message = format!("these steps wait for each other: {}", quoted_path(&names));
    let last = steps.get(path.last().map_or(0, |(step, _)| *step));
    let help = if last.is_some_and(|step| step.needs.is_none()) {
        "a step without `needs` waits for the one before it; write `needs: []` where it need not"
    } else {
        "remove one of these needs"
    };
    out.push(Diagnostic::error("cycle", closing.span, message).help(help));
}

fn quoted_path(names: &[&str]) -> String {
    let cut: Vec<String> =
        names.iter().map(|name| name.chars().take(64).flat_map(char::escape_debug).collect()).collect();
    format!("`{}`", cut.join(" → "))
}

/// A set of steps.
#[derive(Clone, Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(steps: usize) -> Self {
        Self(vec![0; steps.div_ceil(64)])
    }

    fn add(&mut self, other: &Self, step: usize) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
        if let Some(word) = self.0.get_mut(step / 64) {
            *word |= 1 << (step % 64);
        }
    }

    fn has(&self, step: usize) -> bool {
        self.0.get(step / 64).is_some_and(|word| word >> (step % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(steps: &[(&str, Option<&[&str]>)]) -> Vec<Links> {
        let spanned = |text: &str| Spanned { value: text.to_owned(), span: Span::default() };
        steps
            .iter()
            .map(|(id, needs)| Links {
                id: spanned(id),
                needs: needs.map(|needs| needs.iter().map(|need| spanned(need)).collect()),
            })
            .collect()
    }

    fn complaints(steps: &[(&str, Option<&[&str]>)]) -> Vec<String> {
        let mut out = Complaints::default();
        check(&links(steps), &mut out);
        out.finish().err().unwrap_or_default().into_iter().map(|diagnostic| diagnostic.message).collect()
    }

    #[test]
    fn a_cycle_is_shown_whole_and_once() {
        let found = complaints(&[("a", Some(&["c"])), ("b", Some(&["a"])), ("c", Some(&["b"])), ("d", None)]);
        assert_eq!(found, ["these steps wait for each other: `a → c → b → a`"]);
    }

    #[test]
    fn two_knots_are_two_complaints() {
        let found =
            complaints(&[("a", Some(&["b"])), ("b", Some(&["a"])), ("c", Some(&["d"])), ("d", Some(&["c"]))]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn what_ends_before_is_transitive_and_a_step_without_needs_follows_the_one_before() {
        let mut out = Complaints::default();
        let graph = check(&links(&[("a", None), ("b", None), ("c", None), ("d", Some(&["a"]))]), &mut out);
        assert!(graph.ends_before(0, 2));
        assert!(graph.ends_before(0, 3));
        assert!(!graph.ends_before(1, 3));
        assert!(!graph.ends_before(2, 2));
    }

    #[test]
    fn a_thousand_steps_in_a_ring_neither_overflow_nor_take_long() {
        let names: Vec<String> = (0..1_000).map(|n| format!("s{n}")).collect();
        let needs: Vec<[&str; 1]> = (0..1_000).map(|n| [names[(n + 1) % 1_000].as_str()]).collect();
        let steps: Vec<(&str, Option<&[&str]>)> =
            names.iter().zip(&needs).map(|(name, needs)| (name.as_str(), Some(needs.as_slice()))).collect();
        let found = complaints(&steps);
        assert_eq!(found.len(), 1);
        assert!(found[0].len() < 200, "{}", found[0]);
    }
}
