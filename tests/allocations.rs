//! Allocations of a call, counted: none for a step, and for whole sequences a number that does not grow with the
//! steps. What a count may be is written here, so that a new one is seen.

mod common;

use allocation_counter::{AllocationInfo, measure};
use common::CELLS;
use gru_rs::{
    Batch, Cell, Config, Model, ModelConfig, ModelStream, Numbers, Pooling, Rnn, TapeMemory, Training, Width,
};

/// Of a second call, when the layer has what it keeps for the next one.
fn second(mut call: impl FnMut()) -> AllocationInfo {
    gru_rs::set_num_threads(1).unwrap();
    call();
    measure(call)
}

fn layer(cell: Cell) -> Rnn<f32> {
    Rnn::new(Config { cell, ..Config::gru(3, 20) }).unwrap()
}

#[test]
fn a_step_allocates_nothing() {
    for cell in CELLS {
        for batch in [1, 5, 70] {
            let rnn = Rnn::<f32>::new(Config { cell, layers: 2, ..Config::gru(3, 20) }).unwrap();
            let mut stream = rnn.stream(batch).unwrap();
            let (x, mut y) = (vec![0.5; batch * 3], vec![0.0; batch * 20]);
            let info = second(|| stream.step(&x, &mut y).unwrap());
            assert_eq!(info.count_total, 0, "{cell:?}, {batch} rows");
        }
    }
}

#[test]
fn a_chunk_after_the_first_allocates_nothing() {
    for cell in CELLS {
        for batch in [1, 5, 70] {
            let rnn = Rnn::<f32>::new(Config { cell, layers: 2, ..Config::gru(3, 20) }).unwrap();
            let mut stream = rnn.stream(batch).unwrap();
            let (x, mut y) = (vec![0.5; 150 * batch * 3], vec![0.0; 150 * batch * 20]);
            let info = second(|| stream.steps(150, &x, &mut y).unwrap());
            assert_eq!(info.count_total, 0, "{cell:?}, {batch} rows");
        }
    }
}

#[test]
fn a_quantized_step_allocates_nothing() {
    for cell in CELLS {
        for width in [Width::Int8, Width::Float16, Width::Bfloat16] {
            let mut stream = layer(cell).quantized(width).unwrap().stream(5).unwrap();
            let (x, mut y) = (vec![0.5; 5 * 3], vec![0.0; 5 * 20]);
            let info = second(|| stream.step(&x, &mut y).unwrap());
            assert_eq!(info.count_total, 0, "{cell:?}, {width:?}");
        }
    }
}

#[test]
fn a_step_of_a_model_allocates_nothing() {
    for cell in CELLS {
        for (vocabulary, numbers) in [(None, Numbers::Floats(&[0.5; 30 * 3][..])), (Some(9), Numbers::Tokens(&[7; 30]))]
        {
            for &pooling in Pooling::ALL {
                let rnn = Config { cell, batch_first: true, ..Config::gru(3, 20) };
                let model = Model::new(ModelConfig { vocabulary, pooling, ..ModelConfig::new(rnn, 2) }).unwrap();
                for model in [model.clone(), model.quantized(Width::Int8).unwrap()] {
                    let (mut stream, mut scores) = (ModelStream::new(&model, 5).unwrap(), [0.0; 30 * 2]);
                    let info = second(|| stream.steps(numbers, 6, &mut scores).unwrap());
                    assert_eq!(info.count_total, 0, "{cell:?}, {vocabulary:?}, {pooling:?}");
                }
            }
        }
    }
}

/// Outputs, states, the rows' order and their places, tasks: the same few for 10 and 1,000 steps.
#[test]
fn inference_allocates_its_answer_and_little_else() {
    for cell in CELLS {
        let rnn = layer(cell);
        let count = |seq: usize| {
            let x = vec![0.5; seq * 4 * 3];
            let batch = Batch { x: &x, batch: 4, seq, states: &[], lengths: None, resets: None };
            let info = second(|| drop(rnn.run(&batch).unwrap()));
            let answer = (seq * 4 * 20 * 4) as u64;
            assert!(info.bytes_total < answer + 4_000, "{cell:?}, {seq} steps: {} bytes", info.bytes_total);
            info.count_total
        };
        assert_eq!(count(10), count(1000), "{cell:?}");
        assert!(count(10) <= 32, "{cell:?}: {}", count(10));
    }
}

/// The tape and all scratch are used again.
#[test]
fn training_allocates_its_answers_and_little_else() {
    for cell in CELLS {
        for memory in [TapeMemory::Full, TapeMemory::Low] {
            let rnn = layer(cell);
            let count = |seq: usize| {
                let x = vec![0.5; seq * 4 * 3];
                let batch = Batch { x: &x, batch: 4, seq, states: &[], lengths: None, resets: None };
                let training = Training { seed: None, memory };
                let info = second(|| {
                    let (output, mut tape) = rnn.forward(&batch, &training).unwrap();
                    drop(tape.backward(Some(&output.y), &[]).unwrap());
                });
                // y, d_x, d params, and where each step's part of the tape lies.
                let answers = (seq * 4 * (20 + 3) * 4 + rnn.flat().len() * 4) as u64;
                let places = (64 * seq) as u64;
                let bytes = info.bytes_total;
                assert!(bytes < answers + places + 16_000, "{cell:?}, {memory:?}, {seq} steps: {bytes} bytes");
                info.count_total
            };
            let (short, long) = (count(100), count(1000));
            assert!(short <= 90, "{cell:?}, {memory:?}: {short}");
            // A few for each chunk of 256 rows.
            assert!(long <= short + 10 * (1000 * 4 / 256), "{cell:?}, {memory:?}: {long} after {short}");
        }
    }
}
