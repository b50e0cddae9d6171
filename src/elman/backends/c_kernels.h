/* What generated code calls: compiled once for each processor (c_kernels.c), and linked to every cell. */
#define SHARED __attribute__((visibility("hidden")))
#define APART __attribute__((noinline)) /* a compiler takes much longer over one large function */

/* ---- sizes ------------------------------------------------------------------------------------------------ */
INLINE long least(long a, long b) { return a < b ? a : b; }
INLINE long most(long a, long b) { return a > b ? a : b; }
INLINE long vectors(long n) { return (n + LANES - 1) / LANES; }
/* blocks of `units` vectors each */
INLINE long blocks(long n, long units) { return (vectors(n) + units - 1) / units; }
/* memory is handed out in cache lines */
INLINE long room(long n) { return (n + 63) / 64 * 64; }
#define NOWHERE ((real *)64) /* where memory is only counted */
/* rows left, cut into tiles as even as possible */
INLINE long tile_rows(long left) {
  return left <= ROWS ? left : (left + (left + ROWS - 1) / ROWS - 1) / ((left + ROWS - 1) / ROWS);
}
/* the share of `id` among `threads` of n items, cut at multiples of `grain` */
INLINE long share(long n, int id, int threads, long grain) {
  return id == threads ? n : least(n, (n * id / threads + grain - 1) / grain * grain);
}
/* rows of time and batch: runs of `count` rows, one every `stride`, from the first until the last;
   `back` walks through the blocks of units from the last to the first */
struct rows {
  long first, last, count, stride, back;
};
INLINE struct rows run_of_rows(long first, long last) {
  return (struct rows){first, last, last - first, last > first ? last - first : 1, 0};
}

INLINE long runs(struct rows at) { return (at.last - at.first + at.stride - 1) / at.stride; }
/* the same rows as `lines` of which each is cut into tiles: runs, or where these are short for a tile, one row of
   every run */
struct walk {
  long lines, each, apart, step;
};
INLINE struct walk one_run(struct rows at) { return (struct walk){1, at.count, 0, 1}; }
INLINE struct walk by_row(struct rows at) { return (struct walk){runs(at), at.count, at.stride, 1}; }
INLINE struct walk by_row_or_step(struct rows at) {
  return at.count < ROWS && runs(at) > 1 ? (struct walk){at.count, runs(at), 1, at.stride} : by_row(at);
}

/* ---- products ---------------------------------------------------------------------------------------------
   Weights are packed for tiles: the units of `count` matrices of one shape that are multiplied by the same vector
   stand side by side, vector by vector (unit vector u of matrix i is column vector u * count + i), in panels of WIDE
   vectors; a panel has one row of vectors for every k. */
#if WEIGHT_BYTES == 2 /* bfloat16: two rows of a panel share one, so that 32 bits hold both entries of a unit */
typedef uint16_t half;
INLINE long depth(long k) { return (k + 1) / 2; }
#else
INLINE long depth(long k) { return k; }
#endif
struct term { /* sum over k of a[m * step_m + k * step_k] * b[k, :] */
  const real *a, *b;
  long k, step_m, step_k;
#if WEIGHT_BYTES == 2
  const half *pairs; /* the rows of `a` in bfloat16, depth(k) pairs each, or NULL: they are rounded then */
#endif
};
/* tile[m * ld + n] for m rows and the first `wide` vectors of the terms' panels: all terms added up, in an order that
   does not depend on m, but where it is 0: one row, quickly */
SHARED void product(real *tile, long ld, long m, long wide, struct term *terms, int count);
#if WEIGHT_BYTES != 2
/* whether a call packs no weights: that takes as long as to read them for some rows, of which each has to add up lanes */
INLINE int is_direct(long rows, long weights, long few) { return rows <= few && rows * 32768 <= weights; }
/* a matrix as the caller has it: entry (unit, k) is w[unit * step_n + k * step_k], one of the steps is 1 */
struct matrix {
  const real *w;
  long step_n, step_k;
};
/* the same for `width` units from `unit` on, not of packed weights but of `each` matrices for every term */
SHARED void direct(real *tile, long ld, long m, long unit, long width, const struct term *terms, int count,
                   const struct matrix *from, int each);
#endif
/* unit vector u of matrix i of `count`: entry (unit, k) is w[unit * step_n + k * step_k] */
SHARED void pack(real *to, const real *w, long i, long count, long u, long n, long k, long step_n, long step_k);
INLINE long packed_size(long count, long n, long k) { return vectors(n) * count * LANES * depth(k); }
#if WEIGHT_BYTES == 2
SHARED void pack_half(real *to, const half *w, long i, long count, long u, long n, long k, long step_n, long step_k);
SHARED void widen(real *to, const half *from, long n);
SHARED void narrow(half *to, const real *from, long n);
/* the same of rows of n values each */
SHARED void widen_rows(real *to, const half *from, struct rows at, long n);
SHARED void narrow_rows(half *to, const real *from, struct rows at, long n);
/* rows of n values as products read them: an odd one has a zero behind it */
SHARED void pair_rows(half *to, const real *from, long rows, long n);
typedef uint32_t pair __attribute__((vector_size(BYTES), aligned(4), may_alias)); /* entries of rows 2j and 2j + 1 */
typedef uint16_t halfs __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
INLINE pair rounded(vec x) { /* to the nearest, halves to even; in the upper half */
  const pair bits = (pair)x, whole = (bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u;
  return (pair)pick(x != x, (vec)(bits | 0x400000u), (vec)whole);
}
INLINE void store_pairs(half *to, vec v, long lanes) {
  halfs found = __builtin_convertvector(rounded(v) >> 16, halfs);
  if (lanes == LANES) {
    *(halfs *)to = found;
    return;
  }
  if (lanes % 2) found[lanes] = 0;
  memcpy(to, &found, (lanes + lanes % 2) * sizeof(half));
}
#endif

/* what add_outer needs as `panel`; of bfloat16 also room for so many columns of `a` */
#if WEIGHT_BYTES == 2
#define COLUMNS 192
INLINE long panel_size(long rows) { return (rows / 2 + 1) * PANEL + (rows / 2 + 1 + LANES) * COLUMNS; }
#else
INLINE long panel_size(long rows) { return rows * PANEL; }
#endif
/* out[i, j] += sum over rows of a[row, i] * b[row, j]; the rows of `a` are dealt out to the threads together */
struct side {
  real *out;
  const real *a;
  long m, step;
};
SHARED void add_outer(const struct side *sides, int count, const real *b, long step, long n, long rows, real *panel,
                      int id, int threads);
/* out[j] += sum over rows of a[row, j] */
SHARED void add_rows(real *out, const real *a, long n, long rows);

/* ---- threads ---------------------------------------------------------------------------------------------- */
struct team {
  int threads;
  int arrived __attribute__((aligned(64)));
  int round __attribute__((aligned(64)));
  int asleep; /* threads that wait for the next round without a processor */
};
typedef void work(const void *what, struct team *team, int id, int mode);
SHARED void barrier(struct team *team);
/* how a call is shared out: `macs` and `bytes` of weights for one row of one step, of all stages and of the step;
   `pieces` are the blocks of units that threads can share */
struct cost {
  double macs, step_macs, step_bytes;
  long pieces;
  int levels;
};
/* calls of one plan and size: how long the best of them took, which is what they were expected to take at first */
#define PACES 13
struct pace {
  long expected, best;
};
/* 0: each thread takes its rows of the batch through time alone; 1: each takes its units, and they meet after every
   level of every step; 2: one thread steps, where meeting would cost more than it gives */
SHARED void run_team(work *run, const void *what, struct cost cost, struct pace *pace, long T, long B, int threads);
/* steps in a block of time: enough rows for the products over a block, few enough to stay in cache */
SHARED long block_steps(long T, long B);
