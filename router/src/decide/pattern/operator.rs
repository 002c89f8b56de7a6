//! One element of a field's list: a plain value, or an object with one operator.
use super::{
    PatternError,
    condition::{Affix, Cidr, Condition, Range, Real, Wildcard, bits, fold},
    parse::Place,
};
use crate::values::tree::Node;
use std::net::IpAddr;

/// The operators there are.
pub(super) const NAMES: [&str; 8] =
    ["prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "cidr", "exists"];

/// AWS compares numbers between minus and plus this.
const NUMBER_MAX: f64 = 5e9;

type Result<T> = std::result::Result<T, PatternError>;

pub(super) fn condition(node: &Node<'_>, place: &mut Place) -> Result<Condition> {
    match node {
        Node::Null => Ok(Condition::Null),
        Node::Bool(b) => Ok(Condition::Bool(*b)),
        Node::Number(literal) => Ok(Condition::Number((**literal).into())),
        Node::String(text) => Ok(Condition::Text((**text).into())),
        Node::Array(_) => Err(place.refuse("a list within a list", "write all values in one array")),
        Node::Object(_) => {
            let (name, operand) = single(node, place)?;
            place.below(name, |place| operation(name, operand, place))
        }
    }
}

/// The only key of an operator's object.
fn single<'n>(node: &'n Node<'_>, place: &Place) -> Result<(&'n str, &'n Node<'n>)> {
    match node {
        Node::Object(fields) => match fields.as_slice() {
            [(name, operand)] => Ok((name, operand)),
            [] => Err(place.refuse("an object without an operator", r#"write one, such as {"prefix": "a"}"#)),
            _ => Err(place.refuse(
                "several operators in one object",
                r#"write each in its own: [{"prefix": "a"}, {"suffix": "b"}]"#,
            )),
        },
        _ => Err(place.refuse("no operator", r#"write an object such as {"prefix": "a"}"#)),
    }
}

fn operation(name: &str, operand: &Node<'_>, place: &mut Place) -> Result<Condition> {
    match name {
        "prefix" => Ok(Condition::Prefix(affix(operand, place)?)),
        "suffix" => Ok(Condition::Suffix(affix(operand, place)?)),
        "equals-ignore-case" => Ok(Condition::Folded(fold(string(operand, place)?).into())),
        "wildcard" => wildcard(string(operand, place)?, place),
        "anything-but" => anything_but(operand, place),
        "numeric" => numeric(operand, place),
        "cidr" => cidr(string(operand, place)?, place),
        "exists" => match operand {
            Node::Bool(true) => Ok(Condition::Exists),
            Node::Bool(false) => Ok(Condition::Absent),
            _ => Err(place.refuse("`exists` is true or false", r#"write {"exists": true} or {"exists": false}"#)),
        },
        "exactly" => Err(place.refuse("not an operator of EventBridge", "write the value itself")),
        _ => Err(place.refuse(&format!("unknown operator `{name}`"), &format!("use one of {}", NAMES.join(", ")))),
    }
}

fn string<'n>(node: &'n Node<'_>, place: &Place) -> Result<&'n str> {
    match node {
        Node::String(text) => Ok(text),
        _ => Err(place.refuse("not a string", "write one in quotes")),
    }
}

fn affix(operand: &Node<'_>, place: &mut Place) -> Result<Affix> {
    match operand {
        Node::String(text) => Ok(Affix { text: (**text).into(), folded: false }),
        Node::Object(_) => {
            match single(operand, place)? {
                ("equals-ignore-case", text) => place.below("equals-ignore-case", |place| {
                    Ok(Affix { text: fold(string(text, place)?).into(), folded: true })
                }),
                (other, _) => Err(place
                    .refuse(&format!("`{other}` cannot go here"), r#"write {"equals-ignore-case": "a"} or a string"#)),
            }
        }
        _ => Err(place.refuse("neither a string nor ignoring case", r#"write "a" or {"equals-ignore-case": "a"}"#)),
    }
}

fn wildcard(text: &str, place: &Place) -> Result<Condition> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.peek() == Some(&'*') => {
                return Err(
                    place.refuse("consecutive asterisks", r"write one *, or \* for the character (\\* in JSON)")
                );
            }
            '*' => pieces.push(std::mem::take(&mut piece).into()),
            '\\' => match rest.next() {
                Some(escaped @ ('*' | '\\')) => piece.push(escaped),
                _ => {
                    return Err(place
                        .refuse("a backslash before neither * nor \\", r"write \\ for the character (\\\\ in JSON)"));
                }
            },
            c => piece.push(c),
        }
    }
    pieces.push(piece.into());
    Ok(Condition::Wildcard(Wildcard(pieces.into())))
}

fn anything_but(operand: &Node<'_>, place: &mut Place) -> Result<Condition> {
    if let Node::Object(_) = operand {
        let (name, inner) = single(operand, place)?;
        if !matches!(name, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
            let remedy = "use prefix, suffix, equals-ignore-case or wildcard";
            return Err(place.refuse(&format!("`{name}` cannot go in anything-but"), remedy));
        }
        let these = place.below(name, |place| each(inner, place, |one, place| excluded(name, one, place)))?;
        return Ok(Condition::AnythingBut(these.into()));
    }
    let these = each(operand, place, |one, place| match one {
        Node::String(_) | Node::Number(_) => condition(one, place),
        _ => Err(place.refuse("anything-but takes strings or numbers", r#"write {"anything-but": ["a", "b"]}"#)),
    })?;
    let texts = these.iter().filter(|one| matches!(one, Condition::Text(_))).count();
    if texts != 0 && texts != these.len() {
        return Err(place.refuse("strings and numbers in one anything-but", "keep to one kind"));
    }
    Ok(Condition::AnythingBut(these.into()))
}

/// One value, or every value of a list that is not empty.
fn each(
    operand: &Node<'_>,
    place: &mut Place,
    mut f: impl FnMut(&Node<'_>, &mut Place) -> Result<Condition>,
) -> Result<Vec<Condition>> {
    match operand {
        Node::Array(items) if items.is_empty() => {
            Err(place.refuse("an empty list excludes nothing", r#"list values, or write {"exists": true}"#))
        }
        Node::Array(items) => {
            items.iter().enumerate().map(|(i, one)| place.below(&i.to_string(), |place| f(one, place))).collect()
        }
        one => Ok(vec![f(one, place)?]),
    }
}

/// What an anything-but with an operator excludes.
fn excluded(name: &str, one: &Node<'_>, place: &mut Place) -> Result<Condition> {
    let text = string(one, place)?;
    if text.is_empty() && matches!(name, "prefix" | "suffix") {
        return Err(place.refuse("every string starts and ends with the empty one", "write at least one character"));
    }
    operation(name, one, place)
}

fn numeric(operand: &Node<'_>, place: &mut Place) -> Result<Condition> {
    let remedy = r#"write ["=", 5], [">", 0] or [">=", 0, "<", 5]"#;
    let Node::Array(terms) = operand else {
        return Err(place.refuse("`numeric` takes a list", remedy));
    };
    let mut comparisons = Vec::new();
    for (i, pair) in terms.chunks(2).enumerate() {
        let [operator, number] = pair else {
            return Err(place.refuse("a comparison without a number", remedy));
        };
        let operator = match operator {
            Node::String(text) if ["=", "<", "<=", ">", ">="].contains(&&**text) => &**text,
            other => {
                let wrong = format!("{} is not a comparison", show(other));
                return place.below(&(2 * i).to_string(), |place| Err(place.refuse(&wrong, "use =, <, <=, > or >=")));
            }
        };
        comparisons.push((operator, place.below(&(2 * i + 1).to_string(), |place| real(number, place))?));
    }
    let range = match *comparisons {
        [("=", at)] => Range { low: Some((at, true)), high: Some((at, true)) },
        [(operator @ (">" | ">="), low)] => Range { low: Some((low, operator == ">=")), high: None },
        [(operator @ ("<" | "<="), high)] => Range { low: None, high: Some((high, operator == "<=")) },
        [(from @ (">" | ">="), low), (to @ ("<" | "<="), high)] if low < high => {
            Range { low: Some((low, from == ">=")), high: Some((high, to == "<=")) }
        }
        [(">" | ">=", _), ("<" | "<=", _)] => {
            return Err(place.refuse("the lower bound is not below the upper", remedy));
        }
        _ => return Err(place.refuse("neither one comparison nor a range from low to high", remedy)),
    };
    Ok(Condition::Numeric(range))
}

fn real(node: &Node<'_>, place: &Place) -> Result<Real> {
    let Node::Number(literal) = node else {
        return Err(place.refuse(&format!("{} is not a number", show(node)), "write one without quotes"));
    };
    let within = literal.parse().is_ok_and(|n: f64| n.abs() <= NUMBER_MAX);
    Real::parse(literal).filter(|_| within).ok_or_else(|| {
        place.refuse("AWS compares numbers from -5e9 to 5e9 only", "stay within, or leave this bound out")
    })
}

fn cidr(text: &str, place: &Place) -> Result<Condition> {
    let remedy = r#"write a block such as "10.0.0.0/8" or "2001:db8::/32""#;
    let Some((address, mask)) = text.split_once('/') else {
        return Err(place.refuse("no mask", remedy));
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(place.refuse("not an IP address before the slash", remedy));
    };
    let ((v6, network), width) = (bits(address), if address.is_ipv6() { 128 } else { 32 });
    match mask.parse::<u32>() {
        Ok(mask) if mask < width => Ok(Condition::Cidr(Cidr { v6, network, free: width - mask })),
        Ok(mask) if mask == width => {
            Err(place.refuse("AWS refuses a mask of all bits", "write the address itself, as a plain value"))
        }
        _ => Err(place.refuse(&format!("the mask is not from 0 to {}", width - 1), remedy)),
    }
}

/// A value as it would be written, cut short.
pub(super) fn show(node: &Node<'_>) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Bool(b) => b.to_string(),
        Node::Number(literal) => literal.chars().take(40).collect(),
        Node::String(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        Node::Array(_) => "a list".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    }
}
