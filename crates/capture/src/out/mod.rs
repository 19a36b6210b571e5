//! Where what is recorded goes: segments, a stream, the renderer behind `monitor`.

pub(crate) mod destination;
pub(crate) mod output;
pub(crate) mod renderer;
pub(crate) mod stream;
pub(crate) mod writer;
