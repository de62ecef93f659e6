//! Snapshot files: what is written is read back, and nothing else is believed.

use std::collections::BTreeMap;

use pgadvise::snapshot::file::{
    Form, SnapshotFileError, content_hash, decode, encode, looks_like_snapshot,
};
use pgadvise::snapshot::{
    Activity, Column, Constraint, ExtendedData, ExtendedStatistics, Extension, FORMAT, Index,
    IndexMeta, Object, ObjectKind, Origin, Relation, RelationKind, Size, Slot, Snapshot,
    Statistics, ValueList, Values, check, redact,
};

/// A snapshot with something of most kinds in it.
pub(crate) fn sample() -> Snapshot {
    let statistics = Statistics {
        inherited: false,
        null_fraction: 0.1,
        width: 7,
        distinct: -0.333_333_34,
        slots: vec![
            Slot {
                kind: 1,
                operator: Some("pg_catalog.=(text,text)".into()),
                collation: Some("pg_catalog.\"default\"".into()),
                numbers: Some(vec![0.3, 0.123_456_79, 1e-7]),
                values: Some(ValueList {
                    element: "text".into(),
                    array: "{paid,\"to \\\"do\\\", {x}: [y]\",\u{fc}ber}".into(),
                }),
            },
            Slot {
                kind: 3,
                operator: Some("pg_catalog.<(text,text)".into()),
                numbers: Some(vec![-0.987_654_3]),
                ..Slot::default()
            },
        ],
    };
    let orders = Relation {
        schema: "public".into(),
        name: "orders".into(),
        columns: vec![
            Column {
                name: "id".into(),
                type_name: "bigint".into(),
                not_null: true,
                ..Column::default()
            },
            Column {
                name: "status".into(),
                type_name: "text".into(),
                default: Some("'new'::text".into()),
                statistics: vec![statistics.clone()],
                ..Column::default()
            },
        ],
        size: Some(Size {
            blocks: 4_294_967_295,
            pages: 12_345,
            tuples: 3e14,
            all_visible: 12_000,
            all_frozen: None,
        }),
        constraints: vec![Constraint {
            name: "orders_pkey".into(),
            kind: "p".into(),
            definition: "PRIMARY KEY (id)".into(),
            index: Some("orders_pkey".into()),
            validated: true,
            inherited_only: false,
        }],
        indexes: vec![Index {
            name: "orders_pkey".into(),
            definition: "CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)".into(),
            method: "btree".into(),
            valid: true,
            size: Some(Size {
                blocks: 276,
                pages: 276,
                tuples: 100_000.0,
                ..Size::default()
            }),
            meta: Some(IndexMeta::Btree {
                height: 1,
                from: "pageinspect".into(),
            }),
            ends: Some(("1".into(), "100000".into())),
            statistics: BTreeMap::from([(1, vec![statistics.clone()])]),
            scans: Some(7),
            ..Index::default()
        }],
        extended_statistics: vec![ExtendedStatistics {
            schema: "public".into(),
            name: "orders_stx".into(),
            definition: "CREATE STATISTICS public.orders_stx ON id, status FROM orders".into(),
            data: vec![ExtendedData {
                n_distinct: Some("a352bfa401000000".into()),
                expressions: vec![statistics],
                ..ExtendedData::default()
            }],
            ..ExtendedStatistics::default()
        }],
        activity: Some(Activity {
            live_rows: 5,
            ..Activity::default()
        }),
        ..Relation::default()
    };
    let recent = Relation {
        schema: "public".into(),
        name: "recent".into(),
        kind: RelationKind::View,
        definition: Some(" SELECT id\n   FROM public.orders".into()),
        ..Relation::default()
    };
    Snapshot {
        format: FORMAT,
        origin: Origin {
            version_num: 150_004,
            version: "15.4".into(),
            database: "shop".into(),
            encoding: "UTF8".into(),
            locale_provider: "c".into(),
            collate: "en_US.utf8".into(),
            ctype: "en_US.utf8".into(),
            block_size: 8192,
            taken_at: Some("2026-11-21T12:00:00Z".into()),
            ..Origin::default()
        },
        settings: BTreeMap::from([
            ("random_page_cost".into(), "1.1".into()),
            ("work_mem".into(), "4MB".into()),
        ]),
        search_path: "\"$user\", public".into(),
        extensions: vec![Extension {
            name: "plpgsql".into(),
            schema: "pg_catalog".into(),
            version: "1.0".into(),
        }],
        objects: vec![Object {
            kind: ObjectKind::Type,
            name: "public.mood".into(),
            create: "CREATE TYPE public.mood AS ENUM ('sad', 'happy')".into(),
            then: Vec::new(),
        }],
        relations: vec![orders, recent],
        ..Snapshot::default()
    }
}

/// Numbers that depend on a seed alone.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end as u64)).unwrap()
    }
}

#[test]
fn both_forms_hold_the_same_snapshot() {
    let snapshot = sample();
    for form in [Form::Compressed, Form::Plain] {
        let bytes = encode(&snapshot, form);
        assert_eq!(bytes, encode(&snapshot, form), "the same bytes each time");
        assert!(looks_like_snapshot(&bytes));
        let decoded = decode(&bytes).unwrap();
        assert_eq!(decoded.notes, Vec::<String>::new());
        assert_eq!(decoded.snapshot, snapshot);
        assert_eq!(content_hash(&decoded.snapshot), content_hash(&snapshot));
    }
    let packed = encode(&snapshot, Form::Compressed);
    assert_eq!(&packed[4..8], [0; 4], "no time in gzip's head");
}

#[test]
fn every_finite_number_comes_back_to_the_bit() {
    let mut random = Seeded(0x5eed);
    let mut snapshot = sample();
    let numbers: Vec<f32> = (0..100_000)
        .map(|_| f32::from_bits((random.next() >> 32) as u32))
        .filter(|number| number.is_finite())
        .chain([f32::MIN_POSITIVE, f32::MAX, f32::from_bits(1), -0.0])
        .collect();
    snapshot.relations[0].columns[1].statistics[0].slots[0].numbers = Some(numbers.clone());
    let decoded = decode(&encode(&snapshot, Form::Compressed)).unwrap();
    let back = decoded.snapshot.relations[0].columns[1].statistics[0].slots[0]
        .numbers
        .clone()
        .unwrap();
    let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back), bits(&numbers));
}

#[test]
fn the_plain_form_has_a_property_a_line() {
    let text = String::from_utf8(encode(&sample(), Form::Plain)).unwrap();
    assert!(text.starts_with("{\n  \"pgadvise_snapshot\": {\"format\":1,\"bytes\":"));
    for line in [
        "      \"random_page_cost\": \"1.1\",",
        "        \"name\": \"orders\",",
        "            \"type_name\": \"bigint\",",
        "                    \"numbers\": [0.3, 0.12345679, 1e-7],",
        "            \"ends\": [\"1\", \"100000\"],",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Blanks within values are theirs.
    assert!(
        text.contains(r#"{paid,\"to \\\"do\\\", {x}: [y]\","#),
        "{text}"
    );
}

#[test]
fn blanks_and_line_ends_do_not_count_as_changes() {
    let text = String::from_utf8(encode(&sample(), Form::Plain)).unwrap();
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert!(looks_like_snapshot(windows.as_bytes()));
    let decoded = decode(windows.as_bytes()).unwrap();
    assert_eq!(decoded.notes, Vec::<String>::new());
    assert_eq!(decoded.snapshot, sample());
}

#[test]
fn a_change_by_hand_is_used_and_said() {
    let text = String::from_utf8(encode(&sample(), Form::Plain)).unwrap();
    let changed = text.replace("\"work_mem\": \"4MB\"", "\"work_mem\": \"64MB\"");
    let decoded = decode(changed.as_bytes()).unwrap();
    assert_eq!(decoded.snapshot.settings["work_mem"], "64MB");
    assert_eq!(decoded.notes.len(), 1);
    assert!(
        decoded.notes[0].contains("was changed after it was taken"),
        "{:?}",
        decoded.notes
    );
}

#[test]
fn a_newer_format_is_refused_with_both_versions() {
    let text = String::from_utf8(encode(&sample(), Form::Plain)).unwrap();
    let newer = text.replace("{\"format\":1,", "{\"format\":7,\"shape\":[1],");
    for bytes in [
        newer.clone().into_bytes(),
        // Whatever the newer format looks like further on, and cut off too.
        newer.as_bytes().iter().copied().take(200).collect(),
        br#"{"pgadvise_snapshot": {"format": 7}, "tables": []}"#.to_vec(),
    ] {
        let error = decode(&bytes).unwrap_err();
        assert!(
            matches!(
                error,
                SnapshotFileError::Newer {
                    format: 7,
                    known: FORMAT
                }
            ),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            "the snapshot is in format 7, and this pgadvise reads formats up to 1"
        );
        assert!(error.hint().contains("update pgadvise"));
    }
}

#[test]
fn a_file_that_is_cut_off_says_how_much_is_there() {
    let snapshot = sample();
    let whole = encode(&snapshot, Form::Plain);
    for end in 1..whole.len() - 2 {
        match decode(&whole[..end]) {
            Err(SnapshotFileError::Truncated {
                bytes,
                content,
                expected,
            }) => {
                assert_eq!(bytes, end as u64);
                if let Some(expected) = expected {
                    assert!(content <= expected, "{content} of {expected} at {end}");
                }
            }
            other => panic!("cut at {end}: {other:?}"),
        }
    }
    let message = decode(&whole[..whole.len() / 2]).unwrap_err().to_string();
    assert!(
        message.contains(&format!("(the file has {} bytes)", whole.len() / 2)),
        "{message}"
    );
    let packed = encode(&snapshot, Form::Compressed);
    for end in 1..packed.len() {
        let error = decode(&packed[..end]).unwrap_err();
        assert!(
            matches!(error, SnapshotFileError::Truncated { .. })
                || (end == 1 && matches!(error, SnapshotFileError::NotASnapshot { .. })),
            "cut at {end}: {error:?}"
        );
    }
    assert!(matches!(decode(b""), Err(SnapshotFileError::Empty)));
}

#[test]
fn no_damage_makes_it_panic() {
    let snapshot = sample();
    let mut random = Seeded(42);
    let mut used = 0;
    for form in [Form::Plain, Form::Compressed] {
        let whole = encode(&snapshot, form);
        for round in 0..6000 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = (random.next() >> 24) as u8,
                    2 => {
                        bytes.remove(at);
                    }
                    _ => bytes.insert(at, b"{}[]\",:09-\\\0"[random.below(12)]),
                }
            }
            if round % 5 == 0 {
                bytes.truncate(random.below(bytes.len()) + 1);
            }
            let _seen = looks_like_snapshot(&bytes);
            match decode(&bytes) {
                Ok(decoded) => {
                    used += 1;
                    assert!(
                        decoded.snapshot == snapshot || !decoded.notes.is_empty(),
                        "a changed snapshot says so: {}",
                        String::from_utf8_lossy(&bytes)
                    );
                    let again = decode(&encode(&decoded.snapshot, Form::Compressed)).unwrap();
                    assert_eq!(again.snapshot, decoded.snapshot);
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
    assert!(used > 500, "some damage can be lived with: {used}");
}

#[test]
fn what_is_no_snapshot_is_named() {
    let plan = br#"[{"Plan": {"Node Type": "Result"}}]"#;
    for (bytes, word) in [
        (&plan[..], "--plan"),
        (b"{\"Plan\": {}}", "--plan"),
        (b"CREATE TABLE t ();", "another text"),
        (b"PGDMP\x01\x0e\0", "pg_dump"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\0\0\0\0", "binary"),
        (b" \n", "blanks"),
    ] {
        assert!(!looks_like_snapshot(bytes));
        let error = decode(bytes).unwrap_err();
        assert!(
            matches!(error, SnapshotFileError::NotASnapshot { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn neither_depth_nor_size_takes_the_machine() {
    let mut deep =
        br#"{"pgadvise_snapshot":{"format":1},"snapshot":{"format":1,"unknown":"#.to_vec();
    deep.extend(std::iter::repeat_n(b'[', 3_000_000));
    assert!(decode(&deep).is_err());
    deep.extend(std::iter::repeat_n(b']', 3_000_000));
    deep.extend(b"}}");
    assert!(decode(&deep).is_err());

    // 1.5 GiB of blanks in 1.5 MiB.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"{\"pgadvise_snapshot\":").unwrap();
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..1536 {
        std::io::Write::write_all(&mut packed, &blanks).unwrap();
    }
    let bomb = packed.finish().unwrap();
    assert!(looks_like_snapshot(&bomb));
    assert!(matches!(decode(&bomb), Err(SnapshotFileError::TooLarge)));
}

/// Members that a later pgadvise adds to this format are no obstacle, and
/// parts that are not as the format says cost only themselves.
#[test]
fn a_wrong_part_costs_only_itself() {
    let text = String::from_utf8(encode(&sample(), Form::Plain)).unwrap();
    let more = text.replacen(
        "\"search_path\"",
        "\"later\": {\"a\": [1]}, \"search_path\"",
        1,
    );
    assert_eq!(decode(more.as_bytes()).unwrap().snapshot, sample());

    let wrong = text
        .replacen("\"blocks\": 4294967295", "\"blocks\": -5", 1)
        .replacen("\"kind\": \"type\"", "\"kind\": \"colour\"", 1);
    let decoded = decode(wrong.as_bytes()).unwrap();
    let names: Vec<&str> = decoded
        .snapshot
        .relations
        .iter()
        .map(|relation| relation.name.as_str())
        .collect();
    assert_eq!(names, ["recent"]);
    assert!(decoded.snapshot.objects.is_empty());
    let notes = decoded.notes.join("\n");
    assert!(
        notes.contains("relation public.orders was left out"),
        "{notes}"
    );
    assert!(notes.contains("object public.mood was left out"), "{notes}");

    let broken = text.replacen("\"version_num\": 150004", "\"version_num\": \"?\"", 1);
    let error = decode(broken.as_bytes()).unwrap_err();
    assert!(
        matches!(error, SnapshotFileError::Content { .. }),
        "{error:?}"
    );
}

#[test]
fn the_key_of_the_cache_leaves_out_what_planning_does_not_see() {
    let snapshot = sample();
    let mut later = snapshot.clone();
    later.origin.taken_at = None;
    later.relations[0].activity = None;
    later.relations[0].indexes[0].scans = Some(99);
    assert_eq!(content_hash(&later), content_hash(&snapshot));
    later.relations[0].columns[1].statistics[0].width = 8;
    assert_ne!(content_hash(&later), content_hash(&snapshot));
}

#[test]
fn what_makes_no_sense_is_named_and_left_out() {
    assert_eq!(check::check(&sample()), Vec::<String>::new());
    let mut snapshot = sample();
    snapshot
        .settings
        .insert("bad name; DROP".into(), "1".into());
    snapshot.objects.push(Object {
        kind: ObjectKind::Function,
        name: "public.f()".into(),
        create: "DROP TABLE public.orders".into(),
        then: Vec::new(),
    });
    let column = snapshot.relations[0].columns[1].clone();
    let orders = &mut snapshot.relations[0];
    orders.columns[1].statistics[0].slots = vec![Slot::default(); 6];
    orders.indexes[0].meta = Some(IndexMeta::Btree {
        height: 4000,
        from: "hand".into(),
    });
    orders.indexes.push(Index {
        name: "evil".into(),
        definition: "CREATE TABLE evil ()".into(),
        ..Index::default()
    });
    orders.constraints.push(Constraint {
        name: "c".into(),
        kind: "c".into(),
        definition: "PRIMARY KEY (id)".into(),
        ..Constraint::default()
    });
    orders.size = Some(Size {
        blocks: 1 << 32,
        ..Size::default()
    });
    orders.extended_statistics[0].data[0].dependencies = Some("xyz".into());
    snapshot.relations.push(Relation {
        schema: "public".into(),
        name: "wide".into(),
        columns: vec![column; 1601],
        ..Relation::default()
    });
    snapshot.relations.push(Relation {
        schema: "public".into(),
        name: "nul\0".into(),
        ..Relation::default()
    });
    let said = check::check(&snapshot);
    let left_out = check::clean(&mut snapshot);
    assert_eq!(said, left_out);
    for what in [
        "setting bad name; DROP",
        "function public.f()",
        "the statistics of column status of public.orders",
        "the first page of index orders_pkey of public.orders",
        "index evil of public.orders",
        "constraint c of public.orders",
        "the size of public.orders",
        "the data of statistics object public.orders_stx",
        "public.wide",
        "public.nul\\0",
    ] {
        assert!(
            said.iter()
                .any(|line| line.starts_with(&format!("{what} was left out"))),
            "{what}: {said:#?}"
        );
    }
    assert_eq!(said.len(), 10, "{said:#?}");
    assert_eq!(check::check(&snapshot), Vec::<String>::new());
    assert_eq!(snapshot.relations.len(), 2);
}

#[test]
fn numbers_that_json_cannot_hold_are_left_out_when_writing() {
    let mut snapshot = sample();
    snapshot.relations[0].columns[1].statistics[0].distinct = f32::NAN;
    let decoded = decode(&encode(&snapshot, Form::Compressed)).unwrap();
    assert!(
        decoded.snapshot.relations[0].columns[1]
            .statistics
            .is_empty()
    );
    assert_eq!(decoded.snapshot.limits.len(), 1);
    assert!(decoded.snapshot.limits[0].contains("column status of public.orders"));
}

fn text_of(snapshot: &Snapshot) -> String {
    String::from_utf8(encode(snapshot, Form::Plain)).unwrap()
}

#[test]
fn no_value_is_left_when_they_are_left_out() {
    let mut snapshot = sample();
    snapshot.relations[0].columns[1].statistics[0]
        .slots
        .push(Slot {
            // What PostGIS keeps: where geometries are, as numbers.
            kind: 103,
            numbers: Some(vec![7_654_321.0]),
            ..Slot::default()
        });
    snapshot.relations[0].extended_statistics[0].data[0].most_common_values = Some("c0ffee".into());
    redact::leave_out_values(&mut snapshot);
    let text = text_of(&snapshot);
    for value in ["paid", "to do", "7654321", "c0ffee", "100000\""] {
        assert!(!text.contains(value), "{value} in {text}");
    }
    assert_eq!(snapshot.values, Values::LeftOut);
    assert_eq!(snapshot.limits.len(), 1);
    // Shape stays: frequencies, correlation, and what the schema says.
    let row = &snapshot.relations[0].columns[1].statistics[0];
    assert_eq!(row.slots.len(), 2);
    assert_eq!(row.slots[0].numbers.as_ref().unwrap().len(), 3);
    assert!(text.contains("'new'::text"));
}

/// Columns with slots of values.
fn column(name: &str, type_name: &str, slots: &[(i16, &str)]) -> Column {
    Column {
        name: name.into(),
        type_name: type_name.into(),
        statistics: vec![Statistics {
            slots: slots
                .iter()
                .map(|(kind, array)| Slot {
                    kind: *kind,
                    numbers: (*kind != 2).then(|| vec![0.5, 0.25, 0.125, 0.5, 0.1]),
                    values: Some(ValueList {
                        element: type_name.trim_end_matches("[]").replace("tsvector", "text"),
                        array: (*array).into(),
                    }),
                    ..Slot::default()
                })
                .collect(),
            ..Statistics::default()
        }],
        ..Column::default()
    }
}

#[test]
fn stand_ins_keep_order_and_equality_and_hide_values() {
    let mut snapshot = sample();
    let people = &mut snapshot.relations[0];
    people.constraints[0].kind = "c".into();
    people.constraints[0].definition =
        "CHECK (state = ANY (ARRAY['open'::text, 'shut'::text]))".into();
    people.columns = vec![
        column("id", "bigint", &[(2, "{1,48213,90001,1000007}")]),
        column("other", "integer", &[(1, "{90001,48213}")]),
        column(
            "name",
            "character varying(40)",
            &[(1, "{Zoe,Adam}"), (2, "{\"de Boer\",Li,Oğuz}")],
        ),
        column("nick", "text", &[(1, "{Adam,Zoe}")]),
        column("state", "text", &[(1, "{open,secretly}")]),
        column("born", "date", &[(2, "{1960-02-29,1987-06-05,2001-09-10}")]),
        column("words", "tsvector", &[(4, "{horse,ox,zebra}")]),
        column("mood", "public.mood", &[(1, "{happy,sad}")]),
        column("place", "point", &[(1, "{\"(1,2)\"}")]),
        column("yes", "boolean", &[(1, "{t,f}")]),
    ];
    for column in &mut people.columns {
        // Types print without their size there.
        for slot in &mut column.statistics[0].slots {
            let values = slot.values.as_mut().unwrap();
            values.element = values.element.replace("(40)", "");
        }
    }
    people.indexes[0].ends = Some(("1".into(), "1000007".into()));
    people.indexes[0].statistics.clear();
    let mut redacted = snapshot.clone();
    redact::redact(&mut redacted);
    let mut again = snapshot;
    redact::redact(&mut again);
    assert_eq!(redacted, again, "the same stand-ins each time");

    let values = |column: usize, slot: usize| -> Vec<String> {
        redacted.relations[0].columns[column].statistics[0].slots[slot]
            .values
            .as_ref()
            .unwrap()
            .array
            .trim_matches(['{', '}'])
            .split(',')
            .map(|value| value.trim_matches('"').to_owned())
            .collect()
    };
    assert_eq!(values(0, 0), ["1", "40000", "90000", "1000000"]);
    assert_eq!(
        values(1, 0),
        ["90000", "40000"],
        "the same as in the other column"
    );
    assert_eq!(
        redacted.relations[0].indexes[0].ends,
        Some(("1".into(), "1000000".into()))
    );
    let (common, bounds) = (values(2, 0), values(2, 1));
    assert!(common[1] < bounds[0] && bounds.is_sorted() && bounds[2] < common[0]);
    assert_eq!(values(3, 0), [common[1].clone(), common[0].clone()]);
    assert_eq!(bounds[0].len(), "de Boer".len());
    assert_eq!(values(4, 0)[0], "open", "the schema says it anyway");
    assert_eq!(values(5, 0), ["1960-01-01", "1987-01-01", "2001-01-01"]);
    let lexemes = values(6, 0);
    assert!(
        lexemes.is_sorted_by_key(|word| (word.len(), word.clone())),
        "{lexemes:?}"
    );
    assert_eq!(
        redacted.relations[0].columns[6].statistics[0].slots[0].numbers,
        Some(vec![0.25, 0.5, 0.125, 0.5, 0.1]),
        "each with its frequency"
    );
    assert_eq!(values(7, 0), ["happy", "sad"]);
    assert!(
        redacted.relations[0].columns[8].statistics[0].slots[0]
            .values
            .is_none()
    );
    assert_eq!(values(9, 0), ["t", "f"]);
    let text = text_of(&redacted);
    for value in [
        "48213", "90001", "1000007", "Zoe", "Adam", "Boer", "Oğuz", "secretly", "1987-06", "horse",
        "zebra", "(1,2)",
    ] {
        assert!(!text.contains(value), "{value} in {text}");
    }
    assert_eq!(redacted.values, Values::Redacted);
    assert_eq!(redacted.limits.len(), 1);
    assert_eq!(decode(text.as_bytes()).unwrap().notes, Vec::<String>::new());
}
