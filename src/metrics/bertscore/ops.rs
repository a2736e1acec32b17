//! What a model computes between its matrix products: on a CPU by `vector`, in the memory of the
//! product, since candle's own operations share out each one between threads that spin while they
//! wait for each other; on a GPU by candle.

use std::ops::Range;

use candle_core::{CpuStorage, D, InplaceOp1, Layout, Result, Storage, StorageRef, Tensor, bail};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{LayerNorm, Module};

use super::config::Activation;
use super::vector;

/// A layer norm.
pub struct Norm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub eps: f64,
}

/// Adds a bias to each row. Here and below, the rows are changed in place on a CPU.
///
/// # Errors
/// The sizes do not fit together.
pub fn add_bias(rows: Tensor, bias: &Tensor) -> Result<Tensor> {
    if !rows.device().is_cpu() {
        return rows.broadcast_add(bias);
    }
    let bias = read_row(bias, &rows)?;
    let bias = bias.numbers()?;
    in_place(&rows, |rows| vector::add_bias(rows, bias))?;
    Ok(rows)
}

/// Adds a bias to each row, then applies the activation function.
///
/// # Errors
/// The sizes do not fit together.
pub fn activate(rows: Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    if !rows.device().is_cpu() {
        let rows = rows.broadcast_add(bias)?;
        return match activation {
            Activation::Gelu => rows.gelu_erf(),
            Activation::GeluTanh => rows.gelu(),
            Activation::Relu => rows.relu(),
        };
    }
    let bias = read_row(bias, &rows)?;
    let bias = bias.numbers()?;
    in_place(&rows, |rows| vector::activate(rows, bias, activation))?;
    Ok(rows)
}

/// Adds a bias and the row of `others` to each row, then norms it.
///
/// # Errors
/// The sizes do not fit together.
pub fn add_norm(rows: Tensor, bias: &Tensor, others: &Tensor, norm: &Norm) -> Result<Tensor> {
    if !rows.device().is_cpu() {
        let (weight, shift) = (norm.weight.clone(), norm.bias.clone());
        let sum = (rows.broadcast_add(bias)? + others)?;
        return LayerNorm::new(weight, shift, norm.eps).forward(&sum);
    }
    let others = read(others, rows.dims())?;
    let row = |tensor| read_row(tensor, &rows);
    let (bias, weight, shift) = (row(bias)?, row(&norm.weight)?, row(&norm.bias)?);
    let (bias, others) = (bias.numbers()?, others.numbers()?);
    let norm = vector::Norm {
        weight: weight.numbers()?,
        bias: shift.numbers()?,
        eps: norm.eps as f32,
    };
    in_place(&rows, |rows| vector::add_norm(rows, bias, others, &norm))?;
    Ok(rows)
}

/// How much each token attends to each other, from a row of likenesses for each, times `scale`.
/// The mask is added before, if there is one.
///
/// # Errors
/// The sizes do not fit together.
pub fn attention(rows: Tensor, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    if !rows.device().is_cpu() || mask.is_some() {
        let rows = (rows * scale)?;
        return softmax_last_dim(&match mask {
            Some(mask) => rows.broadcast_add(mask)?,
            None => rows,
        });
    }
    let width = rows.dim(D::Minus1)?;
    in_place(&rows, |rows| vector::softmax(rows, width, scale as f32))?;
    Ok(rows)
}

/// Scales each row to length 1.
///
/// # Errors
/// The device has no room.
pub fn unit(rows: Tensor) -> Result<Tensor> {
    if !rows.device().is_cpu() {
        let length = rows.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        return rows.broadcast_div(&length);
    }
    let width = rows.dim(D::Minus1)?;
    in_place(&rows, |rows| vector::unit(rows, width))?;
    Ok(rows)
}

/// A tensor on a CPU, while it is read.
struct Reading<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

/// Begins to read a tensor, which must have these sizes.
fn read<'a>(tensor: &'a Tensor, sizes: &[usize]) -> Result<Reading<'a>> {
    if tensor.dims() != sizes {
        bail!("a tensor of {:?}, not of {sizes:?}", tensor.dims());
    }
    let (storage, layout) = tensor.storage_and_layout();
    Ok(Reading { storage, layout })
}

/// Begins to read what has a number for each column of `rows`.
fn read_row<'a>(tensor: &'a Tensor, rows: &Tensor) -> Result<Reading<'a>> {
    read(tensor, &[rows.dim(D::Minus1)?])
}

impl Reading<'_> {
    fn numbers(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(&storage.as_slice::<f32>()?[place(self.layout)?]),
            _ => bail!("a tensor on another device"),
        }
    }
}

/// Where the numbers of a tensor lie, one after the other.
fn place(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("a tensor that does not lie in one piece"),
    }
}

/// Changes the numbers of a tensor that nothing else uses.
fn in_place(tensor: &Tensor, change: impl Fn(&mut [f32])) -> Result<()> {
    tensor.inplace_op1(&Change(change))
}

struct Change<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match storage {
            CpuStorage::F32(numbers) => (self.0)(&mut numbers[place(layout)?]),
            _ => bail!("numbers of another type"),
        }
        Ok(())
    }
}
