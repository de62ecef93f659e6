//! The syntax tree of one statement, flat in one list.
//!
//! The parser tells of its tree in steps; keeping them in a list in the order
//! of the text is all that reading needs. No node is allocated on its own, and
//! nothing recurses over the depth of the input.

use squawk_parser::{EntryPoint, LexedStr, StrStep};
pub(super) use squawk_syntax::SyntaxKind;

/// A node, or a token other than white space and comments.
#[derive(Debug, Clone, Copy)]
struct Item {
    kind: SyntaxKind,
    token: bool,
    start: u32,
    end: u32,
    /// Where the items after this one's own begin.
    next: u32,
}

/// A tree with the text that it was read from.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    text: &'a str,
    items: Vec<Item>,
}

/// Where the parser met what it did not expect.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// SQL statements.
    Sql,
    /// The body of a PL/pgSQL function.
    Plpgsql,
}

/// Reads a text; the first fault, if there is any.
pub(super) fn parse(text: &str, grammar: Grammar) -> (Tree<'_>, Option<Fault>) {
    let lexed = LexedStr::new(text);
    let input = lexed.to_input();
    let output = match grammar {
        Grammar::Sql => EntryPoint::SourceFile.parse(&input),
        Grammar::Plpgsql => EntryPoint::Plpgsql.parse(&input),
    };
    let mut items: Vec<Item> = Vec::with_capacity(text.len() / 3 + 8);
    let mut open: Vec<u32> = Vec::with_capacity(32);
    let mut fault: Option<Fault> = None;
    let mut at = 0_u32;
    let mut last_end = 0_u32;
    lexed.intersperse_trivia(&output, &mut |step| match step {
        StrStep::Token { kind, text } => {
            let start = at;
            at = at.saturating_add(length(text.len()));
            if matches!(kind, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT) {
                return;
            }
            last_end = at;
            items.push(Item {
                kind,
                token: true,
                start,
                end: at,
                next: length(items.len()).saturating_add(1),
            });
        }
        StrStep::Enter { kind } => {
            open.push(length(items.len()));
            items.push(Item {
                kind,
                token: false,
                start: at,
                end: at,
                next: 0,
            });
        }
        StrStep::Exit => {
            let next = length(items.len());
            let Some(own) = open.pop() else { return };
            let first = items.get(own as usize + 1).map(|item| item.start);
            if let Some(item) = items.get_mut(own as usize) {
                item.next = next;
                if let Some(first) = first {
                    item.start = first;
                    item.end = last_end;
                }
            }
        }
        StrStep::Error { msg, pos } => {
            if fault.is_none() {
                fault = Some(Fault {
                    at: pos,
                    message: msg.to_owned(),
                });
            }
        }
    });
    if fault.is_none()
        && let Some((range, message)) = lexed.errors().next()
    {
        fault = Some(Fault {
            at: range.start as usize,
            message: message.to_owned(),
        });
    }
    (Tree { text, items }, fault)
}

/// Statements are limited to far less than four gigabytes.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl<'a> Tree<'a> {
    /// The node around everything.
    pub(super) fn root(&'a self) -> Node<'a> {
        Node { tree: self, at: 0 }
    }
}

/// A node or token of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    tree: &'a Tree<'a>,
    at: u32,
}

impl<'a> Node<'a> {
    fn item(self) -> Option<&'a Item> {
        self.tree.items.get(self.at as usize)
    }

    pub(super) fn kind(self) -> SyntaxKind {
        self.item().map_or(SyntaxKind::ERROR, |item| item.kind)
    }

    pub(super) fn is_token(self) -> bool {
        self.item().is_some_and(|item| item.token)
    }

    pub(super) fn start(self) -> usize {
        self.item().map_or(0, |item| item.start as usize)
    }

    pub(super) fn end(self) -> usize {
        self.item().map_or(0, |item| item.end as usize)
    }

    pub(super) fn text(self) -> &'a str {
        self.tree.text.get(self.start()..self.end()).unwrap_or("")
    }

    fn next(self) -> u32 {
        self.item().map_or(self.at, |item| item.next)
    }

    /// What follows this and all that it holds, wherever it stands.
    pub(super) fn after(self) -> usize {
        self.next() as usize
    }

    /// Its number, in the order of the text.
    pub(super) fn index(self) -> usize {
        self.at as usize
    }

    /// Nodes and tokens directly in it.
    pub(super) fn children(self) -> Children<'a> {
        let end = self.next();
        Children {
            tree: self.tree,
            at: if self.is_token() { end } else { self.at + 1 },
            end,
        }
    }

    /// Nodes directly in it.
    pub(super) fn nodes(self) -> impl Iterator<Item = Self> {
        self.children().filter(|child| !child.is_token())
    }

    /// Everything in it, at any depth, in the order of the text.
    pub(super) fn descendants(self) -> impl Iterator<Item = Self> {
        (self.at + 1..self.next()).map(move |at| Self {
            tree: self.tree,
            at,
        })
    }

    /// The first child of that kind.
    pub(super) fn child(self, kind: SyntaxKind) -> Option<Self> {
        self.children().find(|child| child.kind() == kind)
    }

    /// The first child of one of those kinds.
    pub(super) fn child_of(self, kinds: &[SyntaxKind]) -> Option<Self> {
        self.children().find(|child| kinds.contains(&child.kind()))
    }

    /// Whether a child is of that kind.
    pub(super) fn has(self, kind: SyntaxKind) -> bool {
        self.child(kind).is_some()
    }
}

/// See [`Node::children`].
#[derive(Debug)]
pub(super) struct Children<'a> {
    tree: &'a Tree<'a>,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.at >= self.end {
            return None;
        }
        let node = Node {
            tree: self.tree,
            at: self.at,
        };
        // An item always ends behind itself; `max` keeps the loop finite
        // whatever the parser said.
        self.at = node.next().max(self.at + 1);
        Some(node)
    }
}
