//! A text of many parts made to fit: what matters most is kept, in the order
//! in which it stands, and what was left out is counted.

/// A part of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// What is kept first: small numbers.
    pub(super) rank: usize,
    /// What it is, for the account of what was left out: `finding`, and the
    /// word for several.
    pub(super) what: Option<(&'static str, &'static str)>,
    /// The part that must stand before it, by position: a statement's heading.
    pub(super) below: Option<usize>,
    /// The text.
    pub(super) text: String,
    /// What to put in its place where it does not fit.
    pub(super) short: Option<String>,
}

/// What was left out: its name, the name of several, and their number.
pub(super) type Lost = (&'static str, &'static str, usize);

/// Which parts are kept within that many bytes, as text by position, and what
/// was left out: each kind with its number, in the order of the parts.
pub(super) fn fit(parts: &[Part], most: usize) -> (Vec<Option<&str>>, Vec<Lost>) {
    let mut kept: Vec<Option<&str>> = vec![None; parts.len()];
    let mut order: Vec<usize> = (0..parts.len()).collect();
    // A stable sort: among equals, what stands first is kept first.
    order.sort_by_key(|at| parts.get(*at).map_or(0, |part| part.rank));
    let mut left = most;
    for at in order {
        let Some(part) = parts.get(at) else { continue };
        if kept.get(at).is_some_and(Option::is_some) {
            continue;
        }
        let above = part
            .below
            .filter(|above| kept.get(*above).is_some_and(Option::is_none))
            .and_then(|above| parts.get(above).map(|part| (above, part.text.as_str())));
        let price = above.map_or(0, |(_, text)| text.len());
        let chosen = [Some(part.text.as_str()), part.short.as_deref()]
            .into_iter()
            .flatten()
            .find(|text| text.len() + price <= left);
        if let Some(text) = chosen {
            left -= text.len() + price;
            if let Some(place) = kept.get_mut(at) {
                *place = Some(text);
            }
            if let Some((above, text)) = above
                && let Some(place) = kept.get_mut(above)
            {
                *place = Some(text);
            }
        }
    }
    let mut lost: Vec<Lost> = Vec::new();
    for (part, kept) in parts.iter().zip(&kept) {
        let (Some((one, many)), None) = (part.what, kept) else {
            continue;
        };
        match lost.iter_mut().find(|(known, _, _)| *known == one) {
            Some((_, _, number)) => *number += 1,
            None => lost.push((one, many, 1)),
        }
    }
    (kept, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rank: usize, text: &str, below: Option<usize>) -> Part {
        Part {
            rank,
            what: Some(("part", "parts")),
            below,
            text: text.to_owned(),
            short: None,
        }
    }

    #[test]
    fn what_matters_most_is_kept_with_its_heading() {
        let parts = [
            part(9, "A:", None),
            part(2, "aaaa", Some(0)),
            part(9, "B:", None),
            part(1, "bbbb", Some(2)),
        ];
        // With 8 bytes there would be room for the heading A alone.
        let (kept, lost) = fit(&parts, 7);
        assert_eq!(kept, [None, None, Some("B:"), Some("bbbb")]);
        assert_eq!(lost, [("part", "parts", 2)]);
        let (kept, lost) = fit(&parts, 100);
        assert_eq!(kept.concat_some(), "A:aaaaB:bbbb");
        assert!(lost.is_empty());
    }

    #[test]
    fn a_part_may_have_a_shorter_form() {
        let mut long = part(1, "a long text", None);
        long.short = Some("short".to_owned());
        assert_eq!(fit(&[long.clone()], 6).0, [Some("short")]);
        assert_eq!(fit(&[long], 4).0, [None]);
    }

    trait Concat {
        fn concat_some(&self) -> String;
    }

    impl Concat for Vec<Option<&str>> {
        fn concat_some(&self) -> String {
            self.iter().flatten().copied().collect()
        }
    }
}
