//! The page of a run for the step summary of a job, and for a reader of the record.

use std::fmt::Write as _;

use crate::manifest::model::SummarySection;
use crate::page::words::counted;
use crate::page::{Page, escaped};
use crate::record::Record;
use crate::redact::Registry;
use crate::report::kept::Kept;

/// Most bytes: GitHub drops a step summary of more than 1 MiB whole. A little room is left for a page that has some already.
pub(super) const MAX_BYTES: usize = (1 << 20) - (16 << 10);

const CUT: &str = "\n\n**The summary is cut here: it is too long for GitHub. The record has everything.**\n";

/// The summary of `record`, with `sections` in their order.
pub(super) fn of(record: &Record, kept: &Kept, sections: &[SummarySection], registry: &Registry) -> String {
    let mut page = Page::new(registry);
    page.head(record);
    for section in sections {
        match section {
            SummarySection::Steps => page.steps(record),
            SummarySection::Gates => page.gates(record),
            SummarySection::Findings => findings(&mut page, record, kept),
            SummarySection::Tests => page.tests(record),
            SummarySection::Artifacts => page.artifacts(record),
            SummarySection::Timings => page.timings(record),
        }
    }
    page.foot(record);
    fitted(page.into_sections().concat())
}

/// The findings that were kept, with the exact number of all.
fn findings(page: &mut Page<'_>, record: &Record, kept: &Kept) {
    let total = record.counts.total();
    if total == 0 {
        return;
    }
    // What comes behind the findings is short, and should not be what is cut.
    let rows = page.rows(kept.worst(), MAX_BYTES.saturating_sub(page.len() + 64 * 1024));
    let outside = match record.filtered {
        0 => String::new(),
        count => format!(" ({count} outside of what changed are not shown)"),
    };
    let counts = counted(&record.counts);
    let sentence = format!("{counts}, showing {} of {total}{outside}, worst first.", rows.count);
    page.findings(&sentence, &rows);
}

/// `page` with what steps wrote to their own summaries after it, each `(step, Markdown)`. It is somebody else's Markdown
/// and stands last, so that nothing in it can swallow words of ours.
pub(super) fn with_own(mut page: String, own: &[(String, String)]) -> String {
    for (step, markdown) in own {
        let _ =
            write!(page, "\n---\n\n### Written by the step {}\n\n{}\n", escaped(step), markdown.trim_end());
    }
    fitted(page)
}

/// `text`, cut with a mark when it is too long.
fn fitted(mut text: String) -> String {
    if text.len() > MAX_BYTES {
        let end = text.floor_char_boundary(MAX_BYTES - CUT.len());
        // Half a line could be half a table or half an escape.
        text.truncate(text[..end].rfind('\n').unwrap_or(end));
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Level};
    use crate::report::sample;

    #[test]
    fn what_steps_wrote_stands_after_our_own_words_and_is_cut_with_them() {
        let own = [("a".to_owned(), "# x\n".to_owned()), ("b (<i>)".to_owned(), "y".repeat(MAX_BYTES))];
        let page = with_own("ours\n".to_owned(), &own);
        assert!(page.starts_with("ours\n\n---\n\n### Written by the step a\n\n# x\n\n---\n\n### Written by the step b (&#60;i&#62;)"));
        assert!(page.len() <= MAX_BYTES && page.ends_with(CUT));
    }

    #[test]
    fn a_page_has_its_sections_in_the_order_that_was_asked_for() {
        let record = sample::record();
        let page = of(&record, &sample::kept(), &sample::SECTIONS, &Registry::new());
        let page = page.replace(&record.run_id.to_string(), "RUN");
        insta::assert_snapshot!(page, @r"
        ## ❌ Rehydrate &#124; validate: failed

        `rehydrate` · took 12.0s · 3 failures, 1 warning · 2 suppressed · commit 0123456789abcdef

        > the working tree is not the head commit

        ### Steps

        | | Step | Time | Result | Findings | Sandbox |
        |---|---|---:|---|---|---|
        | ✅ | fetch | 1.2s | passed, flaky: passed at attempt 2 |  | none |
        | ❌ | Schema &#38; &#60;references&#62; (schema) | 1.2s | exit code 1 | 3 failures, 1 warning | none |
        | ⚠️ | lint | 1.2s | failed (does not count) |  | none |
        | ⏭️ | publish |  | skipped: a step that it needs did not succeed |  |  |
        | ❌ | config | 1.2s | could not be started: the working directory is gone |  | none |

        ### Gates

        | | Gate | Why |
        |---|---|---|
        | ❌ | steps | schema failed |
        | ✅ | data | no failures |

        ### Findings

        3 failures, 1 warning, showing 3 of 4, worst first.

        | Level | Where | What | Rule |
        |---|---|---|---|
        | failure | <code>data/orders.csv:3:2</code> | no such &#60;column&#62; &#38; more second line | <code>schema S1</code> |
        | failure |  | no rows | <code>schema</code> |
        | warning | <code>data/orders.csv:9:2</code> | odd name | <code>schema</code> |

        ### Tests

        7 passed, 1 failed, 2 skipped

        ### Artifacts

        | Name | Files | Bytes | SHA-256 | |
        |---|---:|---:|---|---|
        | report | 2 | 99 | `0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3` | 1 left out |

        ### Slowest steps

        | Step | Time | Attempts |
        |---|---:|---:|
        | fetch | 1.2s | 2 |
        | Schema &#38; &#60;references&#62; (schema) | 1.2s | 1 |
        | lint | 1.2s | 1 |
        | config | 1.2s | 1 |

        Sandbox: tier none. Not enforced: network; memory.

        Run RUN, rungate 0.0.0
        ");
    }

    #[test]
    fn a_page_that_is_too_long_is_cut_at_a_line_and_says_so() {
        let mut record = sample::record();
        let step = record.steps[0].clone();
        for number in 0..20_000 {
            let mut step = step.clone();
            step.name = format!("ä step {number} | {}", "<&>".repeat(60));
            record.steps.push(step);
        }
        let page = of(&record, &Kept::default(), &[SummarySection::Steps], &Registry::new());
        assert!(page.len() <= MAX_BYTES);
        assert!(page.ends_with(CUT) && page.contains("\n\n**The summary is cut here"));
    }

    #[test]
    fn many_long_findings_leave_room_for_the_rest_and_are_counted_exactly() {
        let mut kept = Kept::default();
        let mut record = sample::record();
        record.counts = crate::finding::Counts::default();
        for _ in 0..1_000 {
            kept.add(&Finding::new("t", Level::Failure, "<".repeat(1 << 16)));
            record.counts.add(Level::Failure);
        }
        let page = of(&record, &kept, &[SummarySection::Findings, SummarySection::Gates], &Registry::new());
        assert!(page.contains("1000 failures, showing 200 of 1000, worst first."));
        assert!(page.contains("### Gates") && page.len() <= MAX_BYTES);
    }

    #[test]
    fn a_secret_is_found_before_it_is_escaped_or_cut() {
        let registry = Registry::new();
        let _ = registry.add("p_a_s_s*w0rd");
        let mut kept = Kept::default();
        kept.add(&Finding::new("t", Level::Failure, format!("{}p_a_s_s*w0rd", "x".repeat(494))));
        let page = of(&sample::record(), &kept, &[SummarySection::Findings], &registry);
        assert!(!page.contains("p&#95;a"), "{page}");
    }
}
