//! Where the boxes and edges of a layered drawing lie. Knows sizes and edges; nothing of
//! stages or file formats.
//!
//! The usual steps of layered drawing: longest-path layers, points on every layer that an
//! edge passes, a few sweeps of barycentres with the fewest crossings kept, and x so that
//! things lie near their neighbours without overlap.

/// Height of a box in pixels.
pub const HEIGHT: f64 = 44.0;
/// Pixels between boxes of one layer, and round the drawing.
pub const GAP: f64 = 28.0;
/// Pixels between two layers.
const BETWEEN: f64 = 44.0;
/// Sweeps down and up.
const SWEEPS: usize = 6;
/// Passing points at most: beyond, long edges are drawn straight through.
const POINTS: usize = 5_000;
/// How much harder a passing edge resists a bend than a box resists moving.
const STRAIGHT: f64 = 4.0;

/// A finished layout, in pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Left and upper edge of each box.
    pub boxes: Vec<(f64, f64)>,
    /// For each edge, the points that it goes through. Between the first two, the next two
    /// and so on it bends; from the second to the third and so on it is straight.
    pub edges: Vec<Vec<(f64, f64)>>,
    /// Width of the whole.
    pub width: f64,
    /// Height of the whole.
    pub height: f64,
}

/// A box, or a point that an edge passes.
struct Vertex {
    layer: usize,
    width: f64,
    weight: f64,
    middle: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Lays out boxes of the given widths. Edges that name no box are given no points; edges of
/// a cycle are drawn straight.
pub fn layout(widths: &[f64], edges: &[(usize, usize)]) -> Layout {
    let known = |edge: &(usize, usize)| edge.0 < widths.len() && edge.1 < widths.len();
    let sound: Vec<(usize, usize)> = edges.iter().copied().filter(known).collect();
    let layers = layers(widths.len(), &sound);
    let mut vertices: Vec<Vertex> = widths.iter().zip(&layers).map(Vertex::of_box).collect();
    let spans = sound
        .iter()
        .map(|(a, b)| layers[*b].saturating_sub(layers[*a] + 1));
    let thin = spans.sum::<usize>() <= POINTS;
    let chains: Vec<Vec<usize>> = edges
        .iter()
        .map(|edge| {
            if known(edge) {
                chain(&mut vertices, edge.0, edge.1, thin)
            } else {
                Vec::new()
            }
        })
        .collect();
    let mut rows = rows(&vertices);
    untangle(&vertices, &mut rows);
    spread(&mut vertices, &rows);
    measure(&vertices, widths.len(), &chains)
}

impl Vertex {
    fn of_box((width, layer): (&f64, &usize)) -> Vertex {
        Vertex {
            layer: *layer,
            width: *width,
            weight: 1.0,
            middle: 0.0,
            above: Vec::new(),
            below: Vec::new(),
        }
    }

    fn top(&self) -> f64 {
        GAP + self.layer as f64 * (HEIGHT + BETWEEN)
    }
}

/// Longest-path layers; a box that reads nothing lies right above its first reader.
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut waits = vec![0_usize; count];
    let mut readers = vec![Vec::new(); count];
    for (from, to) in edges {
        waits[*to] += 1;
        readers[*from].push(*to);
    }
    let roots: Vec<usize> = (0..count).filter(|at| waits[*at] == 0).collect();
    let mut layer = vec![0_usize; count];
    let mut open = roots.clone();
    while let Some(at) = open.pop() {
        for to in &readers[at] {
            layer[*to] = layer[*to].max(layer[at] + 1);
            waits[*to] -= 1;
            if waits[*to] == 0 {
                open.push(*to);
            }
        }
    }
    for root in roots {
        let first = readers[root].iter().map(|to| layer[*to]).min();
        layer[root] = first.map_or(0, |first| first.saturating_sub(1));
    }
    layer
}

/// Links two boxes, through a point on each layer between them; the vertices from end to end.
fn chain(vertices: &mut Vec<Vertex>, from: usize, to: usize, thin: bool) -> Vec<usize> {
    let mut chain = vec![from];
    let (top, bottom) = (vertices[from].layer, vertices[to].layer);
    if thin {
        for layer in top + 1..bottom {
            let mut point = Vertex::of_box((&0.0, &layer));
            point.weight = STRAIGHT;
            chain.push(vertices.len());
            vertices.push(point);
        }
    }
    chain.push(to);
    if top < bottom {
        for pair in chain.windows(2) {
            vertices[pair[0]].below.push(pair[1]);
            vertices[pair[1]].above.push(pair[0]);
        }
    }
    chain
}

fn rows(vertices: &[Vertex]) -> Vec<Vec<usize>> {
    let depth = vertices.iter().map(|v| v.layer + 1).max().unwrap_or(0);
    let mut rows = vec![Vec::new(); depth];
    for (at, vertex) in vertices.iter().enumerate() {
        rows[vertex.layer].push(at);
    }
    rows
}

/// Orders each row by the barycentres of its neighbours, down and up; the order with the
/// fewest crossings stays.
fn untangle(vertices: &[Vertex], rows: &mut Vec<Vec<usize>>) {
    let mut place = vec![0; vertices.len()];
    let settle = |place: &mut Vec<usize>, row: &[usize]| {
        for (index, at) in row.iter().enumerate() {
            place[*at] = index;
        }
    };
    for row in rows.iter() {
        settle(&mut place, row);
    }
    let mut best = (crossings(vertices, rows, &place), rows.clone());
    for sweep in 0..SWEEPS {
        let depth = rows.len();
        for step in 0..depth {
            let down = sweep % 2 == 0;
            let row = &mut rows[if down { step } else { depth - 1 - step }];
            let wish = |at: &usize| {
                let vertex = &vertices[*at];
                let next = if down { &vertex.above } else { &vertex.below };
                mean(next.iter().map(|n| place[*n] as f64)).unwrap_or(place[*at] as f64)
            };
            row.sort_by(|a, b| wish(a).total_cmp(&wish(b)));
            let row = row.clone();
            settle(&mut place, &row);
        }
        let crossed = crossings(vertices, rows, &place);
        if crossed < best.0 {
            best = (crossed, rows.clone());
        }
    }
    *rows = best.1;
}

/// How many pairs of edges cross.
fn crossings(vertices: &[Vertex], rows: &[Vec<usize>], place: &[usize]) -> usize {
    let mut crossed = 0;
    for row in rows {
        let mut edges: Vec<(usize, usize)> = row
            .iter()
            .flat_map(|at| {
                vertices[*at]
                    .below
                    .iter()
                    .map(|to| (place[*at], place[*to]))
            })
            .collect();
        edges.sort_unstable();
        for (at, edge) in edges.iter().enumerate() {
            let rest = &edges[at + 1..];
            crossed += rest.iter().filter(|e| e.0 > edge.0 && e.1 < edge.1).count();
        }
    }
    crossed
}

/// Gives every vertex its x: near the mean of its neighbours, apart from those beside it.
fn spread(vertices: &mut [Vertex], rows: &[Vec<usize>]) {
    for row in rows {
        let wishes = vec![(0.0, 1.0); row.len()];
        place(vertices, row, &wishes);
    }
    for sweep in 0..2 * SWEEPS {
        let down = sweep % 2 == 0;
        for step in 0..rows.len() {
            let row = &rows[if down { step } else { rows.len() - 1 - step }];
            let wishes: Vec<(f64, f64)> = row
                .iter()
                .map(|at| {
                    let vertex = &vertices[*at];
                    let next = if down { &vertex.above } else { &vertex.below };
                    match mean(next.iter().map(|n| vertices[*n].middle)) {
                        Some(mean) => (mean, vertex.weight),
                        // Nothing pulls it, so it should not push others away either.
                        None => (vertex.middle, 0.1),
                    }
                })
                .collect();
            place(vertices, row, &wishes);
        }
    }
}

/// Places a row: the least squares from the wished middles (with weights) that keep the order
/// and the gaps, by pooling neighbours that would overlap.
fn place(vertices: &mut [Vertex], row: &[usize], wishes: &[(f64, f64)]) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    for (index, at) in row.iter().enumerate() {
        if index > 0 {
            let before = vertices[row[index - 1]].width;
            offset += f64::midpoint(before, vertices[*at].width) + GAP;
        }
        offsets.push(offset);
    }
    // Pools of neighbours: sum of weighted wishes, sum of weights, how many.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((wish, weight), offset) in wishes.iter().zip(&offsets) {
        let mut pool = ((wish - offset) * weight, *weight, 1);
        while let Some(before) = pools.pop_if(|p| p.0 / p.1 > pool.0 / pool.1) {
            pool = (pool.0 + before.0, pool.1 + before.1, pool.2 + before.2);
        }
        pools.push(pool);
    }
    let starts = pools
        .iter()
        .flat_map(|p| std::iter::repeat_n(p.0 / p.1, p.2));
    for ((at, start), offset) in row.iter().zip(starts).zip(offsets) {
        vertices[*at].middle = start + offset;
    }
}

/// Moves everything to the corner, and gives boxes and edges their points.
fn measure(vertices: &[Vertex], boxes: usize, chains: &[Vec<usize>]) -> Layout {
    let left = |v: &Vertex| v.middle - v.width / 2.0;
    let least = vertices.iter().map(left).fold(f64::INFINITY, f64::min);
    let shift = if least.is_finite() { GAP - least } else { 0.0 };
    let right = |v: &Vertex| v.middle + shift + v.width / 2.0;
    let points = |chain: &Vec<usize>| {
        let mut points = Vec::new();
        for (index, at) in chain.iter().enumerate() {
            let (x, y) = (vertices[*at].middle + shift, vertices[*at].top());
            if index > 0 {
                points.push((x, y));
            }
            if index + 1 < chain.len() {
                points.push((x, y + HEIGHT));
            }
        }
        points
    };
    Layout {
        boxes: vertices[..boxes]
            .iter()
            .map(|v| (left(v) + shift, v.top()))
            .collect(),
        edges: chains.iter().map(points).collect(),
        width: vertices.iter().map(right).fold(0.0, f64::max) + GAP,
        height: vertices.iter().map(Vertex::top).fold(0.0, f64::max) + HEIGHT + GAP,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chain_is_a_column() {
        let drawn = layout(&[100.0, 60.0, 80.0], &[(0, 1), (1, 2)]);
        assert_eq!(drawn.boxes, [(28.0, 28.0), (48.0, 116.0), (38.0, 204.0)]);
        assert_eq!(drawn.edges[0], [(78.0, 72.0), (78.0, 116.0)]);
        assert_eq!((drawn.width, drawn.height), (156.0, 276.0));
    }

    #[test]
    fn a_long_edge_goes_round_the_boxes_between() {
        let drawn = layout(&[100.0, 100.0, 100.0], &[(0, 1), (1, 2), (0, 2)]);
        let passing = drawn.edges[2][1].0;
        let between = drawn.boxes[1].0;
        assert!(passing < between || passing > between + 100.0, "{drawn:?}");
    }

    #[test]
    fn crossings_that_need_not_be_are_not() {
        // Read in this order, 0→3 and 1→2 would cross.
        let drawn = layout(&[50.0; 4], &[(0, 3), (1, 2)]);
        let left = |at: usize| drawn.boxes[at].0;
        assert_eq!(left(0) < left(1), left(3) < left(2));
    }

    #[test]
    fn a_box_that_reads_nothing_lies_above_its_reader() {
        let drawn = layout(&[50.0; 4], &[(0, 1), (1, 2), (3, 2)]);
        assert_eq!(drawn.boxes[3].1, drawn.boxes[1].1);
    }

    #[test]
    fn nothing_has_a_size() {
        let drawn = layout(&[], &[]);
        assert!(drawn.width > 0.0 && drawn.height > 0.0 && drawn.boxes.is_empty());
    }

    proptest! {
        #[test]
        fn boxes_never_overlap(
            widths in prop::collection::vec(1.0..200.0_f64, 0..12),
            edges in prop::collection::vec((0..13_usize, 0..13_usize), 0..30),
        ) {
            let drawn = layout(&widths, &edges);
            prop_assert_eq!(drawn.edges.len(), edges.len());
            for a in 0..widths.len() {
                let (x, y) = drawn.boxes[a];
                prop_assert!(x >= GAP - 0.01 && x + widths[a] <= drawn.width && y < drawn.height);
                for b in 0..a {
                    let (u, v) = drawn.boxes[b];
                    let apart = x >= u + widths[b] + GAP - 0.01 || u >= x + widths[a] + GAP - 0.01;
                    prop_assert!(y != v || apart);
                }
            }
        }
    }
}
