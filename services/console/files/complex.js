// The little linear algebra that beams need: complex matrices as {rows, columns, values: re, im, re, im, …}.

const NUM_ITERATIONS = 60;

// Row 0, one subcarrier, of a tensor [N, K, rows, columns, 2].
export function matrixOf({ shape, data }, carrier) {
  const [, , rows, columns] = shape;
  const size = 2 * rows * columns;
  return { rows, columns, values: Float64Array.from(data.subarray(carrier * size, (Number(carrier) + 1) * size)) };
}

export function adjoint({ rows, columns, values }) {
  const result = new Float64Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [from, to] = [2 * (row * columns + column), 2 * (column * rows + row)];
      result[to] = values[from];
      result[to + 1] = -values[from + 1];
    }
  }
  return { rows: columns, columns: rows, values: result };
}

export function multiply(a, b) {
  const values = new Float64Array(2 * a.rows * b.columns);
  for (let row = 0; row < a.rows; row++) {
    for (let inner = 0; inner < a.columns; inner++) {
      const left = 2 * (row * a.columns + inner);
      const [re, im] = [a.values[left], a.values[left + 1]];
      for (let column = 0; column < b.columns; column++) {
        const [right, to] = [2 * (inner * b.columns + column), 2 * (row * b.columns + column)];
        values[to] += re * b.values[right] - im * b.values[right + 1];
        values[to + 1] += re * b.values[right + 1] + im * b.values[right];
      }
    }
  }
  return { rows: a.rows, columns: b.columns, values };
}

export function scale(matrix, factor) {
  return { ...matrix, values: matrix.values.map((value) => value * factor) };
}

export function energy({ values }) {
  return values.reduce((sum, value) => sum + value * value, 0);
}

function add(a, b) {
  return { ...a, values: a.values.map((value, place) => value + b.values[place]) };
}

// Orthonormal columns that span the strongest directions of a sum of Hermitian matrices, by orthogonal iteration.
export function leadingVectors(matrices, count) {
  const sum = matrices.reduce(add);
  let basis = { rows: sum.rows, columns: count, values: new Float64Array(2 * sum.rows * count) };
  for (let place = 0; place < basis.values.length; place++) basis.values[place] = Math.sin(1 + 7 * place + place * place);
  for (let step = 0; step < NUM_ITERATIONS; step++) basis = orthonormalize(multiply(sum, basis));
  return basis;
}

function orthonormalize({ rows, columns, values }) {
  const result = Float64Array.from(values);
  const at = (row, column) => 2 * (row * columns + column);
  for (let column = 0; column < columns; column++) {
    for (let other = 0; other < column; other++) {
      let [re, im] = [0, 0];
      for (let row = 0; row < rows; row++) {
        const [a, b] = [at(row, other), at(row, column)];
        re += result[a] * result[b] + result[a + 1] * result[b + 1];
        im += result[a] * result[b + 1] - result[a + 1] * result[b];
      }
      for (let row = 0; row < rows; row++) {
        const [a, b] = [at(row, other), at(row, column)];
        result[b] -= re * result[a] - im * result[a + 1];
        result[b + 1] -= re * result[a + 1] + im * result[a];
      }
    }
    let norm = 0;
    for (let row = 0; row < rows; row++) norm += result[at(row, column)] ** 2 + result[at(row, column) + 1] ** 2;
    const factor = 1 / Math.sqrt(norm || 1);
    for (let row = 0; row < rows; row++) {
      result[at(row, column)] *= factor;
      result[at(row, column) + 1] *= factor;
    }
  }
  return { rows, columns, values: result };
}

export function dft(size) {
  const values = new Float64Array(2 * size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const angle = (2 * Math.PI * row * column) / size;
      values[2 * (row * size + column)] = Math.cos(angle) / Math.sqrt(size);
      values[2 * (row * size + column) + 1] = Math.sin(angle) / Math.sqrt(size);
    }
  }
  return { rows: size, columns: size, values };
}

// The columns of a codebook that catch the most energy of all matrices.
export function strongest(codebook, matrices, count) {
  const caught = new Float64Array(codebook.columns);
  for (const matrix of matrices) {
    const seen = multiply(matrix, codebook);
    for (let place = 0; place < seen.values.length; place++) caught[(place >> 1) % codebook.columns] += seen.values[place] ** 2;
  }
  const chosen = [...caught.keys()].sort((a, b) => caught[b] - caught[a]).slice(0, count);
  const values = new Float64Array(2 * codebook.rows * count);
  for (let row = 0; row < codebook.rows; row++) {
    chosen.forEach((column, place) => {
      const [from, to] = [2 * (row * codebook.columns + column), 2 * (row * count + place)];
      values[to] = codebook.values[from];
      values[to + 1] = codebook.values[from + 1];
    });
  }
  return { rows: codebook.rows, columns: count, values };
}

// log2 det(I + snr/Ns (WᴴW)⁻¹ WᴴHF FᴴHᴴW) of one subcarrier.
export function efficiency(channel, precoder, combiner, snr) {
  const received = multiply(adjoint(combiner), multiply(channel, precoder));
  const noise = multiply(adjoint(combiner), combiner);
  const signal = scale(multiply(received, adjoint(received)), snr / precoder.columns);
  return Math.log2(determinant(add(noise, signal)) / determinant(noise));
}

// Of a Hermitian positive definite matrix, by Gaussian elimination: its pivots are real and positive.
function determinant({ rows, values }) {
  const left = Float64Array.from(values);
  const at = (row, column) => 2 * (row * rows + column);
  let product = 1;
  for (let pivot = 0; pivot < rows; pivot++) {
    const divisor = left[at(pivot, pivot)];
    product *= divisor;
    for (let row = pivot + 1; row < rows; row++) {
      const [re, im] = [left[at(row, pivot)] / divisor, left[at(row, pivot) + 1] / divisor];
      for (let column = pivot; column < rows; column++) {
        const [from, to] = [at(pivot, column), at(row, column)];
        const [a, b] = [left[from], left[from + 1]];
        left[to] -= re * a - im * b;
        left[to + 1] -= re * b + im * a;
      }
    }
  }
  return product;
}
