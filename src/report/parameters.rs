//! What a statement's parameters do to its plan, as rows that any format can
//! set: one for each choice of values.

use super::format;
use super::model::{ComparedParameter, Parameters, PlanShape, TriedValue};
use crate::advise::sensitivity::samples::Source;
use crate::advise::sensitivity::{Sensitivity, Tried};

/// Of more values than this the others are left out, unless all are wanted.
const SHOWN: usize = 8;
/// Columns of the table that hold numbers.
pub(super) const NUMBERS: &[usize] = &[1, 3, 4, 5];

/// The report's part, from what the advice found.
pub(super) fn build(found: &Sensitivity) -> Parameters {
    let shapes: Vec<PlanShape> = found
        .shapes
        .iter()
        .enumerate()
        .map(|(at, text)| PlanShape {
            name: letter(at),
            text: text.clone(),
            share: found.share_of(at),
        })
        .collect();
    let tried = !found.tried.is_empty();
    Parameters {
        compared: found
            .compared
            .iter()
            .map(|compared| ComparedParameter {
                parameters: compared.parameters.clone(),
                column: compared.column.clone(),
                operator: compared.operator.clone(),
            })
            .collect(),
        open: found.open.clone(),
        flips: found.flips(),
        shapes,
        values: found.tried.iter().map(value).collect(),
        generic_cost: format::finite(found.generic_cost).filter(|_| tried),
        custom_average: format::finite(found.own_average()).filter(|_| tried),
        generic_average: found.generic_average().filter(|_| tried),
        generic_after_five: found.settled.map(|settled| settled.generic_after_five),
        generic_at_last: found.settled.map(|settled| settled.generic_at_last),
        skipped: found.skipped.clone(),
    }
}

fn value(tried: &Tried) -> TriedValue {
    TriedValue {
        values: tried.values.clone(),
        sources: tried
            .sources
            .iter()
            .zip(&tried.stands_for)
            .map(|(source, stands_for)| describe(*source, *stands_for))
            .collect(),
        share: tried.share,
        shape: letter(tried.shape),
        own_cost: format::finite(tried.own_cost),
        generic_cost: tried.generic_cost.and_then(format::finite),
        hurt: tried.hurt().and_then(format::finite),
        with_indexes: tried.with_indexes.and_then(format::finite),
    }
}

/// `A`, `B`, … `Z`, then numbers.
fn letter(at: usize) -> String {
    u8::try_from(at)
        .ok()
        .filter(|at| *at < 26)
        .map_or_else(|| at.to_string(), |at| char::from(b'A' + at).to_string())
}

/// Where a value comes from.
fn describe(source: Source, stands_for: f64) -> String {
    match source {
        Source::Common(frequency) if stands_for > 1.0 => format!(
            "one of {} common values, {} of the rows",
            format::count(stands_for.round()),
            format::share(frequency)
        ),
        Source::Common(frequency) => format!("{} of the rows", format::share(frequency)),
        Source::Typical(frequency) => format!(
            "one of {} other values, {} of the rows",
            format::count(stands_for.round()),
            format::share(frequency)
        ),
        Source::Quantile(0.5) => "the median".to_owned(),
        Source::Quantile(quantile) => {
            format!("{} of the rows lie below", format::share(quantile))
        }
        Source::Window(width) => format!("{} of the rows lie between", format::share(width)),
        Source::SeveralCommon => "the most common values".to_owned(),
        Source::SeveralTypical => "values that are not common".to_owned(),
        Source::Prefix => "the beginning of a value".to_owned(),
        Source::Infix => "a part of a value".to_owned(),
    }
}

/// What there is to say in one paragraph.
pub(super) fn summary(found: &Parameters) -> String {
    let compared: Vec<String> = found
        .compared
        .iter()
        .map(|one| format!("{} ({} {})", one.parameters, one.column, one.operator))
        .collect();
    let compared = compared.join(", ");
    if let Some(why) = &found.skipped {
        return format!("not tried for {compared}: {why}");
    }
    let open = if found.open.is_empty() {
        String::new()
    } else {
        format!("; {} stayed open", found.open.join(", "))
    };
    let tried = format::plural(found.values.len(), "choice", "choices");
    if !found.flips {
        return format!("{tried} of values for {compared}: the same plan for all{open}");
    }
    let other: f64 = found.shapes.iter().skip(1).map(|shape| shape.share).sum();
    let settles = match (found.generic_at_last, found.generic_after_five) {
        (Some(true), _) => "; a prepared statement settles on the generic plan".to_owned(),
        (Some(false), Some(chance)) if chance >= 0.01 => format!(
            "; a prepared statement takes the generic plan after five executions with a chance \
             of {}",
            format::share(chance)
        ),
        (Some(false), _) => "; a prepared statement keeps planning for its values".to_owned(),
        (None, _) => String::new(),
    };
    format!(
        "{tried} of values for {compared}: {} of executions have another plan than the generic \
         one{settles}{open}",
        format::share(other)
    )
}

/// Rows with their header, and what the letters mean.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) legend: Vec<String>,
}

/// The values one by one; `None` where all have the same plan and not all
/// details are wanted.
pub(super) fn table(found: &Parameters, detailed: bool) -> Option<Table> {
    let indexes = found
        .values
        .iter()
        .any(|value| value.with_indexes.is_some());
    if found.values.is_empty() || !(found.flips || indexes || detailed) {
        return None;
    }
    let mut header = vec![
        "values".to_owned(),
        "executions".to_owned(),
        "plan".to_owned(),
        "own cost".to_owned(),
        "generic cost".to_owned(),
    ];
    if indexes {
        header.push("with indexes".to_owned());
    }
    header.push(String::new());
    let shown = if detailed { usize::MAX } else { SHOWN };
    // A hurt value is shown however rare it is.
    let mut rows = Vec::new();
    let mut left_out = 0;
    for (at, value) in found.values.iter().enumerate() {
        if at >= shown && value.hurt.is_none() {
            left_out += 1;
            continue;
        }
        rows.push(row(value, indexes));
    }
    let mut legend: Vec<String> = found
        .shapes
        .iter()
        .map(|shape| {
            let generic = if shape.name == "A" {
                ", the generic plan"
            } else {
                ""
            };
            format!(
                "{}: {} ({} of executions{generic})",
                shape.name,
                shape.text,
                format::share(shape.share)
            )
        })
        .collect();
    if left_out > 0 {
        legend.push(format!(
            "{} with the same are left out (-v shows all)",
            format::plural(left_out, "more choice", "more choices")
        ));
    }
    legend.push(
        "executions: as if values were asked for as often as they occur in the column".to_owned(),
    );
    Some(Table {
        header,
        rows,
        legend,
    })
}

fn row(value: &TriedValue, indexes: bool) -> Vec<String> {
    let cost = |cost: Option<f64>| cost.map_or_else(|| "?".to_owned(), format::cost);
    let mut cells = vec![
        value.values.join("; "),
        format::share(value.share),
        value.shape.clone(),
        cost(value.own_cost),
        cost(value.generic_cost),
    ];
    if indexes {
        cells.push(cost(value.with_indexes));
    }
    cells.push(match value.hurt {
        Some(factor) => format!(
            "{} dearer; {}",
            format::factor(factor),
            value.sources.join("; ")
        ),
        None => value.sources.join("; "),
    });
    cells
}
