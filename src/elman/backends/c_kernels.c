/* ---- tiles: M rows by NV vectors of sums, in registers ------------------------------------------------------ */
#define UNROLLED _Pragma("GCC unroll 8")
#define UNROLLED_LANES _Pragma("GCC unroll 16")
/* gcc loads the numbers of all rows first: where 16 registers are nearly full of sums, these then go to memory */
#define ROW_BY_ROW(SUMS) \
  if (BYTES == 32 && (SUMS) > 8) __asm__ volatile("" : : : "memory")
#define TILE(M, NV)                                                                                          \
  static void tile_##M##_##NV(real *tile, long ld, const struct term *term, int count) {                     \
    vec s[M][NV];                                                                                            \
    UNROLLED for (int m = 0; m < M; m++) UNROLLED for (int v = 0; v < NV; v++) s[m][v] = (vec){};            \
    for (; count > 0; count--, term++) {                                                                     \
      const real *a = term->a, *b = term->b;                                                                 \
      const long step_m = term->step_m, step_k = term->step_k;                                               \
      _Pragma("GCC unroll 2") for (long k = term->k; k > 0; k--, a += step_k, b += NV * LANES) {             \
        vec w[NV];                                                                                           \
        UNROLLED for (int v = 0; v < NV; v++) w[v] = *(const vec *)(b + v * LANES);                          \
        UNROLLED for (int m = 0; m < M; m++) {                                                               \
          const vec x = all(a[m * step_m]);                                                                  \
          UNROLLED for (int v = 0; v < NV; v++) s[m][v] += x * w[v];                                         \
          ROW_BY_ROW(M * NV);                                                                                \
        }                                                                                                    \
      }                                                                                                      \
    }                                                                                                        \
    UNROLLED for (int m = 0; m < M; m++)                                                                     \
      UNROLLED for (int v = 0; v < NV; v++) *(vec *)(tile + m * ld + v * LANES) = s[m][v];                   \
  }
#define AHEAD 2048 /* bytes: what a shared cache hands over while a core computes */
/* a batch of one row: few sums, so that several k at once keep the processor busy */
#define TILE_ROW(NV, AT_ONCE)                                                                                \
  static void tile_0_##NV(real *tile, long ld, const struct term *term, int count) {                         \
    (void)ld;                                                                                                \
    vec s[AT_ONCE][NV];                                                                                      \
    UNROLLED for (int q = 0; q < AT_ONCE; q++) UNROLLED for (int v = 0; v < NV; v++) s[q][v] = (vec){};      \
    for (; count > 0; count--, term++) {                                                                     \
      const real *a = term->a, *b = term->b;                                                                 \
      const long step_k = term->step_k;                                                                      \
      long k = term->k;                                                                                      \
      for (; k >= AT_ONCE; k -= AT_ONCE, a += AT_ONCE * step_k, b += AT_ONCE * NV * LANES)                   \
        UNROLLED for (int q = 0; q < AT_ONCE; q++) {                                                         \
          const vec x = all(a[q * step_k]);                                                                  \
          UNROLLED for (int v = 0; v < NV; v++) {                                                            \
            const real *const w = b + (q * NV + v) * LANES;                                                  \
            __builtin_prefetch((const char *)w + AHEAD);                                                     \
            s[q][v] += x * *(const vec *)w;                                                                  \
          }                                                                                                  \
        }                                                                                                    \
      for (; k > 0; k--, a += step_k, b += NV * LANES)                                                       \
        UNROLLED for (int v = 0; v < NV; v++) s[0][v] += all(*a) * *(const vec *)(b + v * LANES);            \
    }                                                                                                        \
    UNROLLED for (int v = 0; v < NV; v++) {                                                                  \
      vec sum = s[0][v];                                                                                     \
      UNROLLED for (int q = 1; q < AT_ONCE; q++) sum += s[q][v];                                             \
      *(vec *)(tile + v * LANES) = sum;                                                                      \
    }                                                                                                        \
  }
#define TILES(NV) TILE(1, NV) TILE(2, NV) TILE(3, NV) TILE(4, NV) TILE(5, NV) TILE(6, NV)
TILE_ROW(1, 4)
TILE_ROW(2, 4)
TILES(1)
TILES(2)
#if WIDE == 4
TILE_ROW(3, 2)
TILE_ROW(4, 2)
TILES(3)
TILES(4)
#endif
typedef void tile_function(real *, long, const struct term *, int);
#define ENTRIES(NV) {tile_0_##NV, tile_1_##NV, tile_2_##NV, tile_3_##NV, tile_4_##NV, tile_5_##NV, tile_6_##NV}
static tile_function *const tiles[WIDE][ROWS + 1] = {
    ENTRIES(1), ENTRIES(2),
#if WIDE == 4
    ENTRIES(3), ENTRIES(4),
#endif
};

#if WEIGHT_BYTES == 2
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif
/* ---- tiles of bfloat16 weights: the vectors are rounded to bfloat16, the sums are not ------------------------- */
INLINE halfs half_of(vec x) {
#if defined(__AVX512BF16__)
  return (halfs)_mm512_cvtneps_pbh((__m512)x);
#else
  return __builtin_convertvector(rounded(x) >> 16, halfs);
#endif
}
INLINE pair paired(vec even, vec odd) {
  return __builtin_convertvector(half_of(even), pair) | __builtin_convertvector(half_of(odd), pair) << 16;
}
typedef uint32_t two __attribute__((aligned(2), may_alias)); /* two values of a row */
INLINE vec add_pairs(vec sum, uint32_t a, const real *b) {
  const pair w = *(const pair *)b, x = a - (pair){};
#if defined(__AVX512BF16__)
  return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w);
#else
  sum += (vec)(x << 16) * (vec)(w << 16);
  return sum + (vec)(x & 0xFFFF0000u) * (vec)(w & 0xFFFF0000u);
#endif
}
#define HALF_TILE(M, NV, AT_ONCE)                                                                            \
  static void half_##M##_##NV##_##AT_ONCE(real *tile, long ld, const two *a, long step, const real *b, long k) { \
    vec s[AT_ONCE][M][NV];                                                                                   \
    UNROLLED for (int m = 0; m < M; m++) UNROLLED for (int v = 0; v < NV; v++) {                             \
      s[0][m][v] = *(const vec *)(tile + m * ld + v * LANES);                                                \
      UNROLLED for (int q = 1; q < AT_ONCE; q++) s[q][m][v] = (vec){};                                       \
    }                                                                                                        \
    long j = 0;                                                                                              \
    for (; j + AT_ONCE <= k; j += AT_ONCE, b += AT_ONCE * NV * LANES)                                        \
      UNROLLED for (int q = 0; q < AT_ONCE; q++) UNROLLED for (int m = 0; m < M; m++)                        \
          UNROLLED for (int v = 0; v < NV; v++)                                                              \
              s[q][m][v] = add_pairs(s[q][m][v], a[m * step + j + q], b + (q * NV + v) * LANES);                \
    for (; j < k; j++, b += NV * LANES)                                                                      \
      UNROLLED for (int m = 0; m < M; m++) UNROLLED for (int v = 0; v < NV; v++)                             \
          s[0][m][v] = add_pairs(s[0][m][v], a[m * step + j], b + v * LANES);                                   \
    UNROLLED for (int m = 0; m < M; m++) UNROLLED for (int v = 0; v < NV; v++) {                             \
      UNROLLED for (int q = 1; q < AT_ONCE; q++) s[0][m][v] += s[q][m][v];                                   \
      *(vec *)(tile + m * ld + v * LANES) = s[0][m][v];                                                      \
    }                                                                                                        \
  }
#define HALVES(NV)                                                                                           \
  HALF_TILE(1, NV, 2) HALF_TILE(1, NV, 1) HALF_TILE(2, NV, 1) HALF_TILE(3, NV, 1) HALF_TILE(4, NV, 1)        \
  HALF_TILE(5, NV, 1) HALF_TILE(6, NV, 1)
HALVES(1)
HALVES(2)
#if WIDE == 4
HALVES(3)
HALVES(4)
#endif
typedef void half_function(real *, long, const two *, long, const real *, long);
#define HALF_ENTRIES(NV) \
  {half_1_##NV##_2, half_1_##NV##_1, half_2_##NV##_1, half_3_##NV##_1, half_4_##NV##_1, half_5_##NV##_1, half_6_##NV##_1}
static half_function *const halves[WIDE][ROWS + 1] = {
    HALF_ENTRIES(1), HALF_ENTRIES(2),
#if WIDE == 4
    HALF_ENTRIES(3), HALF_ENTRIES(4),
#endif
};
#define DEEP 512 /* pairs of a vector that are rounded at a time */
static void round_rows(uint32_t *to, const struct term *term, long rows, long done, long k) {
  const long deep = depth(k);
  for (long i = 0; i < rows; i++) {
    const real *from = term->a + i * term->step_m + done;
    uint16_t *row = (uint16_t *)(to + i * deep);
    row[2 * deep - 1] = 0;
    for (long j = 0; j < k; j += LANES) {
      const long there = least(LANES, k - j);
      const halfs found = half_of(load(from + j, there));
      if (there == LANES) *(halfs *)(row + j) = found;
      else memcpy(row + j, &found, there * 2);
    }
  }
}
static void multiply(real *tile, long ld, long m, long wide, const struct term *term, const two *a, long step_m,
                     long done, long deep) {
  for (long v = 0; v < wide; v += WIDE) {
    const long own = least(WIDE, wide - v);
    const real *b = term->b + v * LANES * depth(term->k) + done / 2 * own * LANES;
    halves[own - 1][m](tile + v * LANES, ld, a, step_m, b, deep);
  }
}
void product(real *tile, long ld, long m, long wide, struct term *terms, int count) {
  const long rows = m ? m : 1;
  for (long i = 0; i < rows; i++) memset(tile + i * ld, 0, wide * LANES * sizeof(real));
  for (; count > 0; count--, terms++) {
    const long deep = depth(terms->k);
    if (terms->pairs) {
      const long step_m = terms->step_m / terms->k * deep;
      multiply(tile, ld, m, wide, terms, (const two *)terms->pairs, step_m, 0, deep);
      continue;
    }
    for (long done = 0; done < terms->k; done += 2 * DEEP) {
      const long k = least(terms->k - done, 2 * DEEP);
      uint32_t a[ROWS * DEEP] __attribute__((aligned(64)));
      round_rows(a, terms, rows, done, k);
      multiply(tile, ld, m, wide, terms, (const two *)a, depth(k), done, depth(k));
    }
  }
}
#else
void product(real *tile, long ld, long m, long wide, struct term *terms, int count) {
  for (; wide > WIDE; wide -= WIDE, tile += PANEL) {
    tiles[WIDE - 1][m](tile, ld, terms, count);
    for (int i = 0; i < count; i++) terms[i].b += PANEL * terms[i].k;
  }
  tiles[wide - 1][m](tile, ld, terms, count);
}
#endif

/* ---- packing ---------------------------------------------------------------------------------------------- */
#if defined(__GNUC__) && !defined(__clang__)
/* rows[i][j] becomes rows[j][i]: halves, quarters, ... change places */
INLINE void transpose(vec *rows) {
  UNROLLED for (long s = 1; s < LANES; s *= 2) {
    mask even, odd;
    UNROLLED for (long l = 0; l < LANES; l++) {
      even[l] = l & s ? LANES + (l ^ s) : l;
      odd[l] = l & s ? LANES + l : l ^ s;
    }
    for (long i = 0; i < LANES; i++) {
      if (i & s) continue;
      const vec a = rows[i], b = rows[i | s];
      rows[i] = __builtin_shuffle(a, b, even);
      rows[i | s] = __builtin_shuffle(a, b, odd);
    }
  }
}
#else
INLINE void transpose(vec *rows) {
  for (long i = 0; i < LANES; i++)
    for (long j = 0; j < i; j++) {
      const real kept = rows[i][j];
      rows[i][j] = rows[j][i], rows[j][i] = kept;
    }
}
#endif
/* packed weights so large that the caches lose them before they are read are written past these, which else fetch
   every line first */
#ifndef TOO_LARGE
#define TOO_LARGE (6L << 20) /* bytes */
#endif
#ifdef __x86_64__
typedef real line __attribute__((vector_size(BYTES), may_alias));
INLINE void store_past(real *to, vec v) {
#if defined(__clang__)
  __builtin_nontemporal_store((line)v, (line *)to);
#else
  typedef float floats __attribute__((vector_size(BYTES)));
#if BYTES == 64
  __builtin_ia32_movntps512((float *)to, (floats)v);
#elif BYTES == 32
  __builtin_ia32_movntps256((float *)to, (floats)v);
#else
  __builtin_ia32_movntps((float *)to, (floats)v);
#endif
#endif
}
INLINE int goes_past(const real *to, long size) {
  return size * (long)sizeof(real) >= TOO_LARGE && (uintptr_t)to % BYTES == 0;
}
INLINE void written(int past) { /* before others may read it */
  if (past) __builtin_ia32_sfence();
}
#else
INLINE void store_past(real *to, vec v) { *(vec *)to = v; }
INLINE int goes_past(const real *to, long size) { return to && size < 0; }
INLINE void written(int past) { (void)past; }
#endif
#if WEIGHT_BYTES != 2
/* ---- products with weights that are not packed ------------------------------------------------------------ */
/* for `lanes` units the sum over k, whose entries lie side by side */
static vec along(const real *a, const real *w, long step, long k, long lanes) {
  vec s[LANES] = {};
  long j = 0;
  if (lanes == LANES)
    for (; j + LANES <= k; j += LANES) {
      const vec x = *(const vec *)(a + j);
      UNROLLED_LANES for (long l = 0; l < LANES; l++) s[l] += x * *(const vec *)(w + l * step + j);
    }
  for (; j < k; j += LANES) {
    const long there = least(LANES, k - j);
    const vec x = load(a + j, there);
    for (long l = 0; l < lanes; l++) s[l] += x * load(w + l * step + j, there);
  }
  transpose(s);
  for (long n = LANES / 2; n; n /= 2)
    for (long l = 0; l < n; l++) s[l] += s[l + n];
  return s[0];
}
/* the same where the units lie side by side */
static vec across(const real *a, const real *w, long step, long k, long lanes) {
  vec s[4] = {};
  long j = 0;
  for (; j + 4 <= k; j += 4)
    UNROLLED for (long q = 0; q < 4; q++) s[q] += all(a[j + q]) * load(w + (j + q) * step, lanes);
  for (; j < k; j++) s[0] += all(a[j]) * load(w + j * step, lanes);
  return (s[0] + s[1]) + (s[2] + s[3]);
}
void direct(real *tile, long ld, long m, long unit, long width, const struct term *terms, int count,
            const struct matrix *from, int each) {
  for (long v = 0; v < width; v += LANES, unit += LANES)
    for (int i = 0; i < each; i++, tile += LANES)
      for (long r = 0; r < m; r++) {
        const long lanes = least(LANES, width - v);
        vec sum = {};
        for (int j = 0; j < count; j++) {
          const struct matrix at = from[j * each + i];
          const real *const a = terms[j].a + r * terms[j].step_m, *const w = at.w + unit * at.step_n;
          sum += at.step_k == 1 ? along(a, w, at.step_n, terms[j].k, lanes) : across(a, w, at.step_k, terms[j].k, lanes);
        }
        *(vec *)(tile + r * ld) = sum;
      }
}
#endif

/* rows j to j + LANES of a panel's column of vectors, of which `count` are there */
static void put(real *to, long wide, long j, const vec *rows, long count, int past) {
#if WEIGHT_BYTES == 2
  for (long l = 0; l < count; l += 2) {
    const vec both = (vec)paired(rows[l], l + 1 < count ? rows[l + 1] : (vec){});
    if (past) store_past(to + (j + l) / 2 * wide, both);
    else *(vec *)(to + (j + l) / 2 * wide) = both;
  }
#else
  if (past)
    for (long l = 0; l < count; l++) store_past(to + (j + l) * wide, rows[l]);
  else
    for (long l = 0; l < count; l++) *(vec *)(to + (j + l) * wide) = rows[l];
#endif
}
void pack(real *to, const real *w, long i, long count, long u, long n, long k, long step_n, long step_k) {
  const long column = u * count + i, panel = column / WIDE;
  const long wide = least(WIDE, vectors(n) * count - panel * WIDE) * LANES, width = least(LANES, n - u * LANES);
  const int past = goes_past(to, packed_size(count, n, k));
  to += panel * PANEL * depth(k) + column % WIDE * LANES;
  w += u * LANES * step_n;
  for (long j = 0; j < k; j += LANES) {
    const long there = least(LANES, k - j);
    vec rows[LANES];
    if (step_n == 1) {
      for (long l = 0; l < there; l++) {
        __builtin_prefetch(w + (j + l + LANES) * step_k);
        rows[l] = load(w + (j + l) * step_k, width);
      }
    } else if (step_k == 1) {
      for (long l = 0; l < LANES; l++) {
        __builtin_prefetch(w + l * step_n + j + 4 * LANES);
        rows[l] = l < width ? load(w + l * step_n + j, there) : (vec){};
      }
      transpose(rows);
    } else {
      for (long l = 0; l < there; l++)
        for (long q = 0; q < LANES; q++) rows[l][q] = q < width ? w[q * step_n + (j + l) * step_k] : 0;
    }
    put(to, wide, j, rows, there, past);
  }
  written(past);
}
#if WEIGHT_BYTES == 2
/* rows j to j + 2 * LANES of 16 bits each, two by two, from matrices of bfloat16: only moved */
void pack_half(real *to, const half *w, long i, long count, long u, long n, long k, long step_n, long step_k) {
  const long column = u * count + i, panel = column / WIDE;
  const long wide = least(WIDE, vectors(n) * count - panel * WIDE) * LANES, width = least(LANES, n - u * LANES);
  to += panel * PANEL * depth(k) + column % WIDE * LANES;
  w += u * LANES * step_n;
  for (long j = 0; j < k; j += 2 * LANES) {
    const long there = least(2 * LANES, k - j);
    vec rows[LANES] = {};
    if (step_k == 1) {
      for (long l = 0; l < width; l++)
        if (there == 2 * LANES) memcpy(rows + l, w + l * step_n + j, BYTES);
        else memcpy(rows + l, w + l * step_n + j, there * sizeof(half));
      transpose(rows);
    } else
      for (long l = 0; l < there; l++) {
        halfs found = {};
        if (step_n == 1 && width == LANES) found = *(const halfs *)(w + (j + l) * step_k);
        else for (long q = 0; q < width; q++) found[q] = w[q * step_n + (j + l) * step_k];
        rows[l / 2] = (vec)((pair)rows[l / 2] | __builtin_convertvector(found, pair) << (l % 2 * 16));
      }
    for (long l = 0; 2 * l < there; l++) *(vec *)(to + (j / 2 + l) * wide) = rows[l];
  }
}
void widen(real *to, const half *from, long n) {
  long j = 0;
  for (; j + LANES <= n; j += LANES)
    *(pair *)(to + j) = __builtin_convertvector(*(const halfs *)(from + j), pair) << 16;
  for (; j < n; j++) {
    const uint32_t bits = (uint32_t)from[j] << 16;
    memcpy(to + j, &bits, sizeof(bits));
  }
}
void narrow(half *to, const real *from, long n) {
  long j = 0;
  for (; j + LANES <= n; j += LANES) *(halfs *)(to + j) = half_of(*(const vec *)(from + j));
  if (j < n) {
    const halfs found = half_of(load(from + j, n - j));
    memcpy(to + j, &found, (n - j) * sizeof(half));
  }
}
void pair_rows(half *to, const real *from, long rows, long n) {
  for (long i = 0; i < rows; i++, to += 2 * depth(n), from += n) {
    narrow(to, from, n);
    if (n % 2) to[n] = 0;
  }
}
void widen_rows(real *to, const half *from, struct rows at, long n) {
  for (long q = at.first; q < at.last; q += at.stride) widen(to + q * n, from + q * n, at.count * n);
}
void narrow_rows(half *to, const real *from, struct rows at, long n) {
  for (long q = at.first; q < at.last; q += at.stride) narrow(to + q * n, from + q * n, at.count * n);
}
#endif

/* ---- totals ----------------------------------------------------------------------------------------------- */
static void add_tile(real *out, long n, const real *tile, long m, long width) {
  for (long i = 0; i < m; i++)
    for (long v = 0; v < width; v += LANES) {
      const long lanes = least(LANES, width - v);
      store(out + i * n + v, load(out + i * n + v, lanes) + *(const vec *)(tile + i * PANEL + v), lanes);
    }
}
#if WEIGHT_BYTES == 2 && defined(__AVX512BF16__)
/* two rows of b side by side, as those of weights are */
static void pair_panel(real *to, const real *b, long step, long rows, long n) {
  for (long r = 0; r < rows; r += 2, to += vectors(n) * LANES)
    for (long j = 0; j < n; j += LANES) {
      const real *const at = b + r * step + j;
      const long lanes = least(LANES, n - j);
      *(pair *)(to + j) = paired(load(at, lanes), r + 1 < rows ? load(at + step, lanes) : (vec){});
    }
}
/* of n columns of a each the pairs one behind the other */
static void pair_columns(real *to, long pitch, const real *a, long step, long rows, long n) {
  for (long j = 0; j < n; j += LANES)
    for (long r = 0; r < rows; r += 2 * LANES) {
      const long lanes = least(LANES, n - j);
      vec found[LANES] = {};
      for (long l = 0; l < LANES && r + 2 * l < rows; l++) {
        const real *const at = a + (r + 2 * l) * step + j;
        found[l] = (vec)paired(load(at, lanes), r + 2 * l + 1 < rows ? load(at + step, lanes) : (vec){});
      }
      transpose(found);
      for (long l = 0; l < lanes; l++) *(vec *)(to + (j + l) * pitch + r / 2) = found[l];
    }
}
static void add_columns(const struct side *side, long first, long count, const real *b, long step, long n, long rows,
                        real *panel) {
  const long pitch = (depth(rows) + LANES - 1) / LANES * LANES;
  real *const columns = panel + depth(rows) * PANEL;
  pair_columns(columns, pitch, side->a + first, side->step, rows, count);
  for (long j = 0; j < n; j += PANEL) {
    const long width = least(PANEL, n - j);
    pair_panel(panel, b + j, step, rows, width);
    for (long i = 0, m; i < count; i += m) {
      m = tile_rows(count - i);
      real tile[ROWS * PANEL] __attribute__((aligned(64))) = {0};
      const two *const a = (const two *)(columns + i * pitch);
      halves[vectors(width) - 1][m](tile, PANEL, a, pitch, panel, depth(rows));
      add_tile(side->out + (first + i) * n + j, n, tile, m, width);
    }
  }
}
void add_outer(const struct side *sides, int count, const real *b, long step, long n, long rows, real *panel, int id,
               int threads) {
  long all_rows = 0;
  for (int s = 0; s < count; s++) all_rows += sides[s].out ? sides[s].m : 0;
  const long from = share(all_rows, id, threads, ROWS), until = share(all_rows, id + 1, threads, ROWS);
  long before = 0;
  for (int s = 0; s < count; s++) {
    if (!sides[s].out) continue;
    const long end = least(sides[s].m, until - before);
    for (long i = from > before ? from - before : 0, some; i < end; i += some) {
      const long parts = (end - i + COLUMNS - 1) / COLUMNS;
      some = least(end - i, ((end - i + parts - 1) / parts + ROWS - 1) / ROWS * ROWS);
      add_columns(sides + s, i, some, b, step, n, rows, panel);
    }
    before += sides[s].m;
  }
}
#else
void add_outer(const struct side *sides, int count, const real *b, long step, long n, long rows, real *panel, int id,
               int threads) {
  long all_rows = 0;
  for (int s = 0; s < count; s++) all_rows += sides[s].out ? sides[s].m : 0;
  const long from = share(all_rows, id, threads, ROWS), until = share(all_rows, id + 1, threads, ROWS);
  if (from == until) return;
  for (long j = 0; j < n; j += PANEL) {
    const long width = least(PANEL, n - j), wide = vectors(width);
    for (long r = 0; r < rows; r++)
      for (long v = 0; v < width; v += LANES)
        *(vec *)(panel + r * wide * LANES + v) = load(b + r * step + j + v, least(LANES, width - v));
    long before = 0;
    for (int s = 0; s < count; s++) {
      const struct side side = sides[s];
      if (!side.out) continue;
      const long first = from > before ? from - before : 0, end = least(side.m, until - before);
      for (long i = first, m; i < end; i += m) {
        m = tile_rows(end - i);
        real tile[ROWS * PANEL] __attribute__((aligned(64)));
        struct term term = {side.a + i, panel, rows, 1, side.step};
        tiles[wide - 1][m](tile, PANEL, &term, 1);
        add_tile(side.out + i * n + j, n, tile, m, width);
      }
      before += side.m;
    }
  }
}
#endif
void add_rows(real *out, const real *a, long n, long rows) {
  for (long j = 0; j < n; j += LANES) {
    const long w = least(LANES, n - j);
    vec s[4] = {};
    long r = 0;
    for (; r + 4 <= rows; r += 4)
      for (int q = 0; q < 4; q++) s[q] += load(a + (r + q) * n + j, w);
    for (; r < rows; r++) s[0] += load(a + r * n + j, w);
    store(out + j, load(out + j, w) + ((s[0] + s[1]) + (s[2] + s[3])), w);
  }
}

/* ---- how a call is shared out -------------------------------------------------------------------------------------- */
long block_steps(long T, long B) {
  const long rows = 512, steps = (rows + B - 1) / (B ? B : 1);
  return steps < 1 ? 1 : least(T ? T : 1, steps);
}

/* what a core does in a nanosecond: multiply-adds, bytes of weights from its own cache and from the shared one; what
   waking a thread and meeting it cost in nanoseconds */
#define MACS 90.0
#define OWN_BYTES 100.0
#define SHARED_BYTES 35.0
#define WAKE 8000.0
#define MEET 200.0
static double own_cache(void) {
  long bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return bytes > 0 ? (double)bytes : 1 << 20;
}
/* nanoseconds of one step: its arithmetic, or what the weights take that are not in the core's own cache */
static double step_time(double macs, double bytes) {
  const double read = bytes / (bytes < 0.7 * own_cache() ? OWN_BYTES : SHARED_BYTES), count = macs / MACS;
  return read > count ? read : count + 0.3 * read;
}
static int choose_mode(struct cost cost, long T, long B, int threads) {
  if (threads == 1) return 2;
  const double one = step_time(cost.step_macs * B, cost.step_bytes) * T;
  const double rest = (cost.macs - cost.step_macs) * B * T / MACS;
  const double rows = step_time(cost.step_macs * ((B + threads - 1) / threads), cost.step_bytes) * T + rest / threads;
  const double part = (double)((cost.pieces + threads - 1) / threads) / cost.pieces; /* of the thread with most */
  const double units = (step_time(cost.step_macs * B * part, cost.step_bytes * part) + cost.levels * MEET) * T + rest / threads;
  const double stay = one + rest / threads;
  if (one + rest < WAKE + fmin(rows, fmin(units, stay))) return 3; /* not worth a second thread */
  if (B >= threads && rows <= units && rows <= stay) return 0;
  return units <= stay ? 1 : 2;
}
void run_team(work *run, const void *what, struct cost cost, struct pace *pace, long T, long B, int threads) {
  const int mode = choose_mode(cost, T, B, threads);
  struct team team = {.threads = 1};
  if (threads == 1 || mode == 3) {
    run(what, &team, 0, 2);
    return;
  }
  const double steps = step_time(cost.step_macs * B, cost.step_bytes) * T;
  const double alone = steps + (cost.macs - cost.step_macs) * B * T / MACS;
  const long began = now(), expected = (long)fmin(4 * alone, 1e12);
  const int is_together = run_together(run, what, mode, threads);
  if (!is_together) run(what, &team, 0, 2);
  judge(pace + expected % PACES, expected, now() - began, is_together);
}
