//! What a planner said about a change, in sentences.

use super::format;
use super::model::{Verdict, VerdictStatus};

/// Whether it is good (`None` when nobody tried) and what to say, the most
/// important first.
pub(super) fn sentences(verdict: &Verdict) -> (Option<bool>, Vec<String>) {
    let mut said = Vec::new();
    let by = verdict
        .engine
        .as_ref()
        .map_or_else(String::new, |engine| format!(" ({engine})"));
    let costs = match (verdict.before_cost, verdict.after_cost) {
        (Some(before), Some(after)) => {
            format!(
                "cost {} → {}{}",
                format::cost(before),
                format::cost(after),
                change(before, after)
            )
        }
        _ => String::new(),
    };
    let good = match verdict.status {
        VerdictStatus::Better => {
            said.push(format!("tested: {costs}{by}"));
            Some(true)
        }
        VerdictStatus::BetterEstimate => {
            said.push(format!("tested: the planner's estimate comes right{by}"));
            Some(true)
        }
        VerdictStatus::NoChange => {
            said.push(format!("tested: no gain, {costs}{by}"));
            Some(false)
        }
        VerdictStatus::Worse => {
            said.push(format!("tested: the planner's cost rises, {costs}{by}"));
            Some(false)
        }
        VerdictStatus::Untested => {
            let why = verdict.why.as_deref().unwrap_or("no planner was at hand");
            said.push(format!("not tested: {why}"));
            None
        }
    };
    if let (Some(before), Some(after)) = (verdict.before_ms, verdict.after_ms) {
        said.push(format!(
            "measured: {} → {}{}",
            format::ms(before),
            format::ms(after),
            change(before, after)
        ));
    }
    if let Some(change) = &verdict.plan_change {
        said.push(format!("plan: {change}"));
    }
    said.extend(
        verdict
            .checked
            .iter()
            .map(|text| format!("checked: {text}")),
    );
    (good, said)
}

/// `, 120× less` or `, 12 % less`.
fn change(before: f64, after: f64) -> String {
    if before <= 0.0 || after < 0.0 {
        return String::new();
    }
    let (large, small, word) = if after <= before {
        (before, after, "less")
    } else {
        (after, before, "more")
    };
    if small > 0.0 && large / small >= 2.0 {
        format!(", {} {word}", format::factor(large / small))
    } else if large <= small {
        String::new()
    } else {
        format!(", {} {word}", format::share((large - small) / before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gains_are_percentages_and_large_ones_factors() {
        assert_eq!(change(100.0, 88.0), ", 12 % less");
        assert_eq!(change(1200.0, 10.0), ", 120× less");
        assert_eq!(change(10.0, 25.0), ", 2.5× more");
        assert_eq!(change(10.0, 10.0), "");
        assert_eq!(change(0.0, 10.0), "");
    }
}
