//! What a model computes between its matrix products, on a CPU: plain rows of numbers, one pass
//! each, without threads. Knows no tensors.
//!
//! Written so that the compiler makes vector instructions of it, of the widest kind that the CPU
//! has (whence `inline(always)`: a function is compiled for the CPU of its caller only as a part
//! of it). Sums have a fixed order and nothing is fused, so that any width gives the same numbers.

use pulp::{Arch, Simd, WithSimd};

use super::config::Activation;

/// Runs what is compiled for each kind of CPU.
#[inline(always)]
fn with_vectors(work: impl FnMut()) {
    Arch::new().dispatch(Work(work));
}

/// A closure by itself would be called as `FnOnce`, by a function that is not inlined.
struct Work<F>(F);

impl<F: FnMut()> WithSimd for Work<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

/// How many sums a row is added up in.
const LANES: usize = 16;

/// What turns rows into rows of mean `bias` and deviation `weight`.
pub struct Norm<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub eps: f32,
}

/// Adds a bias to each row.
pub fn add_bias(rows: &mut [f32], bias: &[f32]) {
    with_vectors(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(bias.len()) {
                for (x, bias) in row.iter_mut().zip(bias) {
                    *x += bias;
                }
            }
        },
    );
}

/// Adds a bias to each row, then applies the activation function.
pub fn activate(rows: &mut [f32], bias: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu => map(rows, bias, gelu),
        Activation::GeluTanh => map(rows, bias, gelu_tanh),
        // A number that is none stays so.
        Activation::Relu => map(rows, bias, |x| if x < 0.0 { 0.0 } else { x }),
    }
}

#[inline(always)]
fn map(rows: &mut [f32], bias: &[f32], f: impl Fn(f32) -> f32) {
    with_vectors(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(bias.len()) {
                for (x, bias) in row.iter_mut().zip(bias) {
                    *x = f(*x + bias);
                }
            }
        },
    );
}

/// Adds a bias and the row of `others` to each row, then norms it.
pub fn add_norm(rows: &mut [f32], bias: &[f32], others: &[f32], norm: &Norm) {
    let width = bias.len();
    with_vectors(
        #[inline(always)]
        || {
            let others = others.chunks_exact(width);
            for (row, other) in rows.chunks_exact_mut(width).zip(others) {
                for ((x, other), bias) in row.iter_mut().zip(other).zip(bias) {
                    *x += bias + other;
                }
                let mean = sum(row, |x| x) / width as f32;
                let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
                let scale = 1.0 / (variance + norm.eps).sqrt();
                for ((x, weight), bias) in row.iter_mut().zip(norm.weight).zip(norm.bias) {
                    *x = (*x - mean) * scale * weight + bias;
                }
            }
        },
    );
}

/// Softmax of each row, times `scale`.
pub fn softmax(rows: &mut [f32], width: usize, scale: f32) {
    with_vectors(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(width) {
                let most = maximum(row) * scale;
                for x in row.iter_mut() {
                    *x = exp(*x * scale - most);
                }
                let share = 1.0 / sum(row, |x| x);
                for x in row.iter_mut() {
                    *x *= share;
                }
            }
        },
    );
}

/// Scales each row to length 1.
pub fn unit(rows: &mut [f32], width: usize) {
    with_vectors(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(width) {
                let length = sum(row, |x| x * x).sqrt();
                for x in row.iter_mut() {
                    *x /= length;
                }
            }
        },
    );
}

/// The sum of a function of each number.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    sums.iter().sum()
}

/// The largest number.
#[inline(always)]
fn maximum(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut most = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = larger(*most, *x);
        }
    }
    for (most, x) in most.iter_mut().zip(rest) {
        *most = larger(*most, *x);
    }
    most.into_iter().fold(f32::NEG_INFINITY, larger)
}

/// The exponential function of what is not above 80; what is tiny becomes 0.
///
/// S. L. Moshier, Cephes, `expf`: a polynomial of what is left of the argument after the nearest
/// multiple of ln 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a small number, leaves its nearest integer in the last bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with few bits.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let times = rounded - ROUND;
    let rest = x - times * LN_2[0] - times * LN_2[1];
    let mut p = 1.987_569_1e-4;
    p = p * rest + 1.398_2e-3;
    p = p * rest + 8.333_452e-3;
    p = p * rest + 4.166_579_6e-2;
    p = p * rest + 1.666_666_5e-1;
    p = p * rest + 0.5;
    let power = rounded.to_bits().wrapping_add(127) << 23;
    let value = (p * (rest * rest) + rest + 1.0) * f32::from_bits(power);
    if x < -87.0 { 0.0 } else { value }
}

/// GELU by the error function: x times the share of the normal distribution below x.
///
/// D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016. That share is
/// erfc(-x / √2) / 2. erfc has the form of C. Hastings ("Approximations for Digital Computers",
/// 1955): exp(-z²) times a polynomial of t = 1 / (1 + z / 2), fitted here to a relative error
/// below 4e-8.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    const P: [f32; 9] = [
        -0.056_394_97,
        0.271_282_02,
        -0.459_069_43,
        0.245_052_83,
        -3.186_870_8e-3,
        0.192_407_86,
        0.245_815_43,
        0.281_982_9,
        0.282_110_2,
    ];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let mut p = P[0];
    for c in &P[1..] {
        p = p * t + c;
    }
    let above = 0.5 * (p * t) * exp(-z * z);
    x * if x < 0.0 { above } else { 1.0 - above }
}

/// GELU by the hyperbolic tangent: x times a logistic function.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const SLOPE: f32 = 2.0 * 0.797_884_6;
    let y = SLOPE * (x + 0.044_715 * x * x * x);
    // Of what is not positive, so that it does not grow without end.
    let e = exp(-y.abs());
    let share = 1.0 / (1.0 + e);
    x * if y < 0.0 { e * share } else { share }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// Numbers from -12 to 12, close together around 0.
    fn numbers() -> Vec<f32> {
        let even = |at: i32| at as f32 / 1000.0;
        let some = (-12_000..=12_000).map(even);
        some.chain((-100..=100).map(|at| even(at) / 1000.0))
            .collect()
    }

    /// In 64 bits, by candle.
    fn exact(numbers: &[f32], f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Vec<f64> {
        let wide: Vec<f64> = numbers.iter().copied().map(f64::from).collect();
        let tensor = Tensor::new(wide, &Device::Cpu).expect("a tensor");
        f(&tensor).and_then(|y| y.to_vec1()).expect("computed")
    }

    #[test]
    fn activations_are_exact() {
        let numbers = numbers();
        let all = [
            (Activation::Gelu, exact(&numbers, Tensor::gelu_erf)),
            (Activation::GeluTanh, exact(&numbers, Tensor::gelu)),
            (Activation::Relu, exact(&numbers, Tensor::relu)),
        ];
        for (activation, expected) in all {
            let mut ours = numbers.clone();
            activate(&mut ours, &[0.0], activation);
            for ((x, ours), exact) in numbers.iter().zip(&ours).zip(&expected) {
                let apart = (f64::from(*ours) - exact).abs();
                assert!(
                    apart <= 4e-7 * f64::from(x.abs()),
                    "{activation:?} {x}: {ours}, {exact}"
                );
            }
        }
    }

    #[test]
    fn exponentials_are_exact() {
        for at in 0..=87_000 {
            let x = -(at as f32) / 1000.0;
            let exact = f64::from(x).exp();
            let apart = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(apart < 2e-7, "{x}: {apart}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::MIN), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
