use std::collections::{BTreeMap, BTreeSet};

use crate::plan::graph;
use crate::plan::tests::{command, only};

fn order(steps: &str) -> String {
    let parsed = command(&format!("steps:\n{steps}"));
    let steps = &only(&parsed).steps;
    let order = graph::order(steps, &graph::needs(steps));
    order.iter().map(|&index| steps[index].id.value.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_step_without_needs_comes_after_the_one_before_it() {
    let parsed = command(
        "steps:\n- {id: a, run: x}\n- {id: b, run: x}\n- {id: c, needs: [], run: x}\n- {id: d, run: x}",
    );
    let needs: Vec<String> = graph::needs(&only(&parsed).steps)
        .iter()
        .map(|needs| needs.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"))
        .collect();
    assert_eq!(needs, ["", "a", "", "c"]);
}

#[test]
fn the_order_is_the_files_where_needs_allow_it() {
    let steps = "- {id: late, needs: [b], run: x}\n- {id: a, needs: [], run: x}\n- {id: b, needs: [a], run: x}\n- {id: z, needs: [], run: x}";
    assert_eq!(order(steps), "a b late z");
    assert_eq!(order("- {id: b, run: x}\n- {id: a, run: x}"), "b a");
}

#[test]
fn a_long_chain_backwards_is_ordered_at_once() {
    let steps: String = (0..400)
        .map(|n| {
            if n < 399 {
                format!("- {{id: s{n}, needs: [s{}], run: x}}\n", n + 1)
            } else {
                format!("- {{id: s{n}, needs: [], run: x}}\n")
            }
        })
        .collect();
    let order = order(&steps);
    assert!(order.starts_with("s399 s398 ") && order.ends_with(" s1 s0"));
}

#[test]
fn ancestors_reach_through_other_steps() {
    let parsed = command(
        "steps:\n- {id: a, needs: [], run: x}\n- {id: b, needs: [a], run: x, strategy: {matrix: {n: [1, 2]}}}\n- {id: c, needs: [b], run: x}\n- {id: d, needs: [], run: x}",
    );
    let plan = super::make::planned(&parsed);
    let names =
        |set: &BTreeSet<crate::id::StepId>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let closure: BTreeMap<String, String> =
        graph::ancestors(&plan.steps).iter().map(|(id, set)| (id.to_string(), names(set))).collect();
    let expected = [("a", ""), ("b", "a"), ("c", "a b"), ("d", "")];
    assert_eq!(closure, expected.map(|(id, set)| (id.to_owned(), set.to_owned())).into());
}
