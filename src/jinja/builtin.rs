//! The filters and tests of Jinja itself that pipelines use: their names and one line about each,
//! for the docs and for suggestions. What clue adds is in `filters`.

/// Name and use of Jinja's filters.
pub const FILTERS: &[(&str, &str)] = &[
    ("abs", "`number | abs`: the number without its sign"),
    (
        "batch",
        "`list | batch(n, fill=none)`: lists of `n` elements each, the last filled up if `fill` is given",
    ),
    ("bool", "`value | bool`: whether it counts as true"),
    (
        "default",
        "`value | default(other)`: `other` where there is no value",
    ),
    (
        "dictsort",
        "`map | dictsort(by='key', reverse=false)`: pairs of name and value, sorted",
    ),
    ("first", "`list | first`: the first element"),
    ("float", "`text | float`: the number that a text stands for"),
    (
        "groupby",
        "`list | groupby('field')`: groups with the same value, each with `grouper` and `list`",
    ),
    (
        "int",
        "`text | int`: the whole number that a text stands for; of a number, without its decimals",
    ),
    ("items", "`map | items`: pairs of name and value"),
    ("join", "`list | join(', ')`: the elements as one text"),
    ("last", "`list | last`: the last element"),
    (
        "length",
        "`value | length`: the number of elements, names or characters",
    ),
    (
        "list",
        "`value | list`: its elements, names or characters as a list",
    ),
    ("lower", "`text | lower`: in lower case"),
    (
        "map",
        "`list | map(attribute='field')` or `list | map('filter')`: a field of each element, or each through a filter",
    ),
    ("max", "`list | max`: the greatest element"),
    ("min", "`list | min`: the least element"),
    ("pprint", "`value | pprint`: the value for people to read"),
    (
        "reject",
        "`list | reject('test')`: the elements for which a test fails",
    ),
    (
        "rejectattr",
        "`list | rejectattr('field', 'test')`: the elements with a field for which a test fails",
    ),
    (
        "replace",
        "`text | replace('a', 'b')`: every `a` replaced by `b`",
    ),
    ("reverse", "`list | reverse`: in reverse order"),
    (
        "round",
        "`number | round(digits)`: rounded to so many decimals; 0 if left out",
    ),
    (
        "select",
        "`list | select('test')`: the elements for which a test holds; without one, those that count as true",
    ),
    (
        "selectattr",
        "`list | selectattr('field', 'test')`: the elements with a field for which a test holds",
    ),
    (
        "slice",
        "`list | slice(n)`: `n` lists that share the elements evenly",
    ),
    (
        "sort",
        "`list | sort(attribute='field', reverse=false)`: sorted; texts without regard to case",
    ),
    (
        "split",
        "`text | split(', ')`: the parts between; at white space if left out",
    ),
    ("string", "`value | string`: the value as text"),
    ("sum", "`list | sum`: the sum of the elements"),
    (
        "title",
        "`text | title`: every word with a capital letter first",
    ),
    ("tojson", "`value | tojson`: the value as JSON"),
    (
        "trim",
        "`text | trim`: without white space at both ends, or without the characters given",
    ),
    ("unique", "`list | unique`: each element once"),
    ("upper", "`text | upper`: in upper case"),
    (
        "zip",
        "`list | zip(other)`: pairs of the elements with the same place",
    ),
];

/// Name and use of Jinja's tests.
pub const TESTS: &[(&str, &str)] = &[
    ("boolean", "`x is boolean`: true or false"),
    ("defined", "`x is defined`: there is such a value"),
    (
        "divisibleby",
        "`n is divisibleby(3)`: a multiple of the number",
    ),
    ("endingwith", "`text is endingwith('a')`: the text ends so"),
    ("eq", "`x is eq(y)`: equal"),
    ("even", "`n is even`: an even number"),
    ("false", "`x is false`: false itself"),
    ("float", "`x is float`: a number with decimals"),
    ("ge", "`x is ge(y)`: greater or equal"),
    ("gt", "`x is gt(y)`: greater"),
    (
        "in",
        "`x is in(list)`: among the elements, or part of the text",
    ),
    ("integer", "`x is integer`: a whole number"),
    ("iterable", "`x is iterable`: something with elements"),
    ("le", "`x is le(y)`: less or equal"),
    ("lower", "`text is lower`: in lower case"),
    ("lt", "`x is lt(y)`: less"),
    ("mapping", "`x is mapping`: a map"),
    ("ne", "`x is ne(y)`: not equal"),
    ("none", "`x is none`: null"),
    ("number", "`x is number`: any number"),
    ("odd", "`n is odd`: an odd number"),
    ("sequence", "`x is sequence`: a list"),
    (
        "startingwith",
        "`text is startingwith('a')`: the text begins so",
    ),
    ("string", "`x is string`: text"),
    ("true", "`x is true`: true itself"),
    ("undefined", "`x is undefined`: there is no such value"),
    ("upper", "`text is upper`: in upper case"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jinja::environment;

    #[test]
    fn all_of_them_are_there_and_told_of() {
        let env = environment();
        let kind = |template: String| env.render_str(&template, ()).map_err(|e| e.kind()).err();
        for (name, doc) in FILTERS {
            assert!(doc.contains(&format!("| {name}")), "{name}");
            let error = kind(format!("{{{{ 1 | {name} }}}}"));
            assert_ne!(error, Some(minijinja::ErrorKind::UnknownFilter), "{name}");
        }
        for (name, doc) in TESTS {
            assert!(doc.contains(&format!(" is {name}")), "{name}");
            let error = kind(format!("{{{{ 1 is {name} }}}}"));
            assert_ne!(error, Some(minijinja::ErrorKind::UnknownTest), "{name}");
        }
        assert!(FILTERS.is_sorted() && TESTS.is_sorted());
    }

    #[test]
    fn they_do_what_is_said() {
        let env = environment();
        for (expression, expected) in [
            ("[1, 2, 3, 4, 5] | batch(2) | list", "[[1,2],[3,4],[5]]"),
            ("[1, 2, 3] | slice(2) | list", "[[1,2],[3]]"),
            ("{'b': 1, 'a': 2} | dictsort", "[[\"a\",2],[\"b\",1]]"),
            (
                "[{'k': 1}, {'k': 1}] | groupby('k') | map(attribute='grouper') | list",
                "[1]",
            ),
            ("'a b' | split", "[\"a\",\"b\"]"),
            ("2.7 | int", "2"),
            ("2.345 | round(1)", "2.3"),
            ("['b', 'A'] | sort", "[\"A\",\"b\"]"),
            ("[1, 2] | zip([3, 4]) | list", "[[1,3],[2,4]]"),
            ("'xax' | trim('x')", "\"a\""),
            ("'ab' | list", "[\"a\",\"b\"]"),
            ("'a' is in('abc')", "true"),
            ("[1, 2, none] | select | list", "[1,2]"),
        ] {
            let made = env.compile_expression(expression).and_then(|e| e.eval(()));
            let made = made.map(|value| serde_json::to_string(&value).unwrap_or_default());
            assert_eq!(made.ok().as_deref(), Some(expected), "{expression}");
        }
    }
}
