// The parts of a training step that PyTorch does slowly on a CPU: response normalization, max
// pooling, cutting a batch out of stored images, and the paper's update rule. Compiled at first use
// by build.py, whose structures mirror those here; arguments are checked before they get here.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

struct bfloat16 { uint16_t bits; };  // the upper half of a float

static inline float load(bfloat16 from) {
    uint32_t bits = uint32_t(from.bits) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
static inline float load(float from) { return from; }
static inline double load(double from) { return from; }

static inline void store(bfloat16* to, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;  // to nearest, ties to even
    to->bits = uint16_t(value != value ? 0x7fc0 : rounded);
}
static inline void store(float* to, float value) { *to = value; }
static inline void store(double* to, double value) { *to = value; }

// s**-0.25 without a root or a division. A float's bits, read as an integer, are roughly its
// logarithm, so a shift divides the logarithm by four; three steps of Newton's method then square
// the error each: 5e-2, 6e-3, 1e-4, below 1e-7.
static inline float inverse_fourth_root(float s) {
    int32_t bits;
    std::memcpy(&bits, &s, 4);
    bits = 0x4f58cd64 - (bits >> 2);
    float y;
    std::memcpy(&y, &bits, 4);
    for (int i = 0; i < 3; i++) {
        float square = y * y;
        y *= 1.25f - 0.25f * s * square * square;
    }
    return y;
}
static inline double inverse_fourth_root(double s) { return 1 / std::sqrt(std::sqrt(s)); }

// ---------------------------------------------------------------- response normalization
//
// The numbers are normalized in tiles, which are copied to buffers with zeros around the rows.
// There a window is a sum at fixed distances, whatever the memory format and wherever the borders.

struct Window { int before, after; long step; };  // neighbors on both sides, and their distance

struct Tile {
    long rows, parts, length;           // rows of parts; a part's numbers lie side by side
    long row_from, part_from;           // distances in memory
    long row_to, part_to, first, size;  // distances, place of the first number, size of the buffer
    Window windows[2];                  // one after the other: a square is a row, then a column
    int passes;
};

struct Settings {
    int64_t images, channels, height, width, channels_last, columns;
    int64_t before, after, spatial, threads;  // spatial: over pixels instead of channels
    double alpha, beta, k;
};

template <class T, class Use>
static void for_each_number(const Tile& tile, long rows, long length, T* memory, Use use) {
    for (long r = 0; r < rows; r++)
        for (long p = 0; p < tile.parts; p++) {
            T* from = memory + r * tile.row_from + p * tile.part_from;
            long to = tile.first + r * tile.row_to + p * tile.part_to;
            #pragma omp simd
            for (long i = 0; i < length; i++) use(from[i], to + i);
        }
}

// Calls use(i, sum over the window about place i) for every place in the buffer.
template <int SIZE, class A, class Use>
static void for_each_sum(const A* from, long count, Window w, Use use) {
    #pragma omp simd
    for (long i = 0; i < count; i++) {
        A sum = 0;
        for (int j = 0; j < SIZE; j++) sum += from[i + (j - w.before) * w.step];
        use(i, sum);
    }
}
template <class A, class Use>
static void for_each_sum(const A* from, long count, Window w, Use use) {
    const int size = w.before + w.after + 1;
    if (size == 5) return for_each_sum<5>(from, count, w, use);
    if (size == 3) return for_each_sum<3>(from, count, w, use);
    #pragma omp simd
    for (long i = 0; i < count; i++) {
        A sum = 0;
        for (int j = -w.before; j <= w.after; j++) sum += from[i + j * w.step];
        use(i, sum);
    }
}

// A thread's buffers, with room before and behind for the windows that reach over the ends.
template <class A>
struct Buffers {
    const Tile& tile;
    long margin, stride;
    std::vector<A> memory;

    explicit Buffers(const Tile& t) : tile(t), margin(0) {
        for (int p = 0; p < t.passes; p++)
            margin += std::max(t.windows[p].before, t.windows[p].after) * t.windows[p].step;
        stride = t.size + 2 * margin + 16;
        memory.assign(5 * stride, A(0));
    }
    A* operator[](int i) { return memory.data() + i * stride + margin; }

    // Zero wherever none of the tile's numbers lies.
    void clear_gaps(A* values, long rows, long length) {
        long end = 0;
        for (long r = 0; r < rows; r++)
            for (long p = 0; p < tile.parts; p++) {
                const long to = tile.first + r * tile.row_to + p * tile.part_to;
                std::fill(values + end, values + to, A(0));
                end = to + length;
            }
        std::fill(values + end, values + tile.size, A(0));
    }

    template <class Use>
    void for_each_window(const A* from, A* between, bool transposed, Use use) {
        Window w[2] = {tile.windows[0], tile.windows[1]};
        if (transposed) for (Window& each : w) std::swap(each.before, each.after);
        if (tile.passes == 2) {
            for_each_sum(from, tile.size, w[0], [&](long i, A sum) { between[i] = sum; });
            from = between;
        }
        for_each_sum(from, tile.size, w[tile.passes - 1], use);
    }
};

// s**-beta and 1 / s. Of a sum of squares that overflows nothing is left; NaN stays NaN.
template <class A> struct Powers { A power, inverse; };
template <bool ROOTS, class A>
static inline Powers<A> inverse_powers(A s, A beta) {
    const bool overflow = s > std::numeric_limits<A>::max();  // std::pow sees to it by itself
    const A root = ROOTS && !overflow ? inverse_fourth_root(s) : A(0);
    const A power = ROOTS ? root * root * root : std::pow(s, -beta);
    return {power, ROOTS ? power * root : 1 / s};
}

// s = k + alpha * window(x**2). Forward: y = x * s**-beta. Backward: own = grad * s**-beta;
// dx = own - 2 * alpha * beta * x * window'(own * x / s).
template <bool ROOTS, class T, class A>
static void normalize_tile(const Settings& set, Buffers<A>& buffer, long rows, long length,
                           const T* x, const T* grad, T* out) {
    const Tile& tile = buffer.tile;
    const A alpha = set.alpha, beta = set.beta, k = set.k, twice = 2 * alpha * beta;
    A* __restrict v = buffer[0];
    A* __restrict squares = buffer[1];  // zero in the gaps, always
    A* __restrict own = buffer[2];
    A* __restrict result = buffer[3];
    A* __restrict between = buffer[4];

    for_each_number(tile, rows, length, x, [&](const T& from, long at) {
        A value = load(from);
        v[at] = value, squares[at] = value * value;
    });
    if (!grad) {
        buffer.for_each_window(squares, between, false, [&](long i, A sum) {
            result[i] = v[i] * inverse_powers<ROOTS>(k + alpha * sum, beta).power;
        });
    } else {
        A* __restrict ratio = result;
        for_each_number(tile, rows, length, grad,
                        [&](const T& from, long at) { own[at] = load(from); });
        buffer.for_each_window(squares, between, false, [&](long i, A sum) {
            const Powers<A> of = inverse_powers<ROOTS>(k + alpha * sum, beta);
            own[i] *= of.power;
            ratio[i] = own[i] * v[i] * of.inverse;
        });
        buffer.clear_gaps(ratio, rows, length);  // a NaN's neighbors put it there
        result = own;
        buffer.for_each_window(ratio, between, true, [&](long i, A sum) {
            result[i] -= twice * v[i] * sum;
        });
    }
    for_each_number(tile, rows, length, out, [&](T& to, long at) { store(&to, result[at]); });
}

template <class T, class A>
static void normalize(const Settings& set, const T* x, const T* grad, T* out) {
    const long pixels = set.height * set.width, before = set.before, after = set.after;
    const long maps = set.channels / set.columns;
    Tile tile{};
    tile.parts = 1;
    long tiles, blocks = 1, image = pixels * set.channels, block = 0, tail_rows, tail_length;
    if (set.spatial && set.channels_last) {  // a tile: 16 maps of one image
        tile.length = std::min(16L, set.channels);
        blocks = (set.channels + tile.length - 1) / tile.length;
        tile.rows = set.height, tile.parts = set.width;
        tile.row_from = set.width * set.channels, tile.part_from = set.channels;
        tile.part_to = tile.length, tile.row_to = (set.width + before + after) * tile.length;
        tile.windows[0] = {int(before), int(after), tile.length};
        tile.windows[1] = {int(before), int(after), tile.row_to};
        tile.passes = 2, block = tile.length, tiles = set.images * blocks;
        tail_length = set.channels - (blocks - 1) * tile.length, tail_rows = tile.rows;
    } else if (set.spatial) {  // a tile: one map
        tile.rows = set.height, tile.length = set.width, tile.row_from = set.width;
        tile.row_to = set.width + before + after;
        tile.windows[0] = {int(before), int(after), 1};
        tile.windows[1] = {int(before), int(after), tile.row_to};
        tile.passes = 2, image = pixels, tiles = set.images * set.channels;
        tail_length = tile.length, tail_rows = tile.rows;
    } else if (set.channels_last) {  // a tile: some pixels, each a row for each column of maps
        tile.length = tile.row_from = maps, tile.row_to = maps + before + after;
        const long all = set.images * pixels * set.columns;
        tile.rows = std::min(all, std::max(1L, 1664 / tile.row_to));
        tile.windows[0] = {int(before), int(after), 1};
        tile.passes = 1, blocks = tiles = (all + tile.rows - 1) / tile.rows;
        block = tile.rows * maps;
        tail_rows = all - (blocks - 1) * tile.rows, tail_length = maps;
    } else {  // a tile: some pixels of all maps of a column
        tile.length = tile.row_to = std::min(256L, pixels);
        tile.rows = maps, tile.row_from = pixels;
        tile.windows[0] = {int(before), int(after), tile.row_to};
        tile.passes = 1, blocks = (pixels + tile.length - 1) / tile.length;
        block = tile.length, image = pixels * maps, tiles = set.images * set.columns * blocks;
        tail_rows = maps, tail_length = pixels - (blocks - 1) * tile.length;
    }
    tile.first = 0;
    for (int p = 0; p < tile.passes; p++) tile.first += before * tile.windows[p].step;
    tile.size = tile.first + (tile.rows - 1) * tile.row_to + (tile.parts - 1) * tile.part_to
                + tile.length;

    #pragma omp parallel num_threads(set.threads)
    {
        Buffers<A> buffer(tile);
        #pragma omp for schedule(static)
        for (long t = 0; t < tiles; t++) {
            const bool tail = t % blocks == blocks - 1;
            const long at = t / blocks * image + t % blocks * block;
            const long rows = tail ? tail_rows : tile.rows;
            const long length = tail ? tail_length : tile.length;
            if (set.beta == 0.75)
                normalize_tile<true>(set, buffer, rows, length, x + at, grad ? grad + at : grad,
                                     out + at);
            else
                normalize_tile<false>(set, buffer, rows, length, x + at, grad ? grad + at : grad,
                                      out + at);
        }
    }
}

extern "C" void response_norm(int bytes, const Settings* set, const void* x, const void* grad,
                              void* out) {
    if (bytes == 2)
        normalize<bfloat16, float>(*set, (const bfloat16*)x, (const bfloat16*)grad, (bfloat16*)out);
    else if (bytes == 4)
        normalize<float, float>(*set, (const float*)x, (const float*)grad, (float*)out);
    else
        normalize<double, double>(*set, (const double*)x, (const double*)grad, (double*)out);
}

// ---------------------------------------------------------------- max pooling
//
// Channels last. `winner` holds, for each output, which place of its window won, in one byte;
// PyTorch keeps an 8-byte index and the whole input.

struct Pool {
    int64_t images, channels, height, width, out_height, out_width, window, stride, threads;
};

// Calls work(size, first) for all channels in blocks of a size that the compiler knows.
template <class Work>
static inline void in_blocks(long channels, Work work) {
    long c = 0;
    for (; c + 16 <= channels; c += 16) work(std::integral_constant<int, 16>(), c);
    for (; c + 8 <= channels; c += 8) work(std::integral_constant<int, 8>(), c);
    for (; c + 4 <= channels; c += 4) work(std::integral_constant<int, 4>(), c);
    for (; c < channels; c++) work(std::integral_constant<int, 1>(), c);
}

// N neighboring channels of one window; so few that they stay in registers.
template <int N, class T, class A>
static inline void pool_window(const Pool& p, const T* image, long top, long left, T* out,
                               uint8_t* winner) {
    A most[N] = {};
    int32_t where[N] = {};
    for (long y = top; y < std::min(top + p.window, p.height); y++)
        for (long x = left; x < std::min(left + p.window, p.width); x++) {
            const T* from = image + (y * p.width + x) * p.channels;
            const int32_t here = (y - top) * p.window + x - left;
            #pragma omp simd
            for (int c = 0; c < N; c++) {
                const A value = load(from[c]);
                const bool wins = here == 0 || value > most[c] || value != value;
                most[c] = wins ? value : most[c];
                where[c] = wins ? here : where[c];
            }
        }
    #pragma omp simd
    for (int c = 0; c < N; c++) store(out + c, most[c]);
    if (winner)
        for (int c = 0; c < N; c++) winner[c] = where[c];
}

template <class T, class A>
static void pool_forward(const Pool& p, const T* x, T* out, uint8_t* winner) {
    #pragma omp parallel for schedule(static) num_threads(p.threads)
    for (long row = 0; row < p.images * p.out_height; row++)
        for (long ox = 0; ox < p.out_width; ox++) {
            const long top = row % p.out_height * p.stride, left = ox * p.stride;
            const T* image = x + row / p.out_height * p.height * p.width * p.channels;
            const long at = (row * p.out_width + ox) * p.channels;
            in_blocks(p.channels, [&](auto size, long c) {
                pool_window<size(), T, A>(p, image + c, top, left, out + at + c,
                                          winner ? winner + at + c : nullptr);
            });
        }
}

// Each window hands its gradient to its winner. The sums are made in A, and rounded once.
template <class T, class A>
static void pool_backward(const Pool& p, const T* grad, const uint8_t* winner, T* dx) {
    const long out_row = p.out_width * p.channels, in_image = p.height * p.width * p.channels;
    std::vector<long> offset(p.window * p.window);
    for (long k = 0; k < (long)offset.size(); k++)
        offset[k] = (k / p.window * p.width + k % p.window) * p.channels;
    #pragma omp parallel num_threads(p.threads)
    {
        std::vector<A> sums(in_image);
        #pragma omp for schedule(static)
        for (long image = 0; image < p.images; image++) {
            std::fill(sums.begin(), sums.end(), A(0));
            for (long oy = 0; oy < p.out_height; oy++)
                for (long ox = 0; ox < p.out_width; ox++) {
                    const long at = (image * p.out_height + oy) * out_row + ox * p.channels;
                    A* corner = sums.data() + (oy * p.width + ox) * p.stride * p.channels;
                    for (long c = 0; c < p.channels; c++)
                        corner[offset[winner[at + c]] + c] += load(grad[at + c]);
                }
            T* to = dx + image * in_image;
            #pragma omp simd
            for (long i = 0; i < in_image; i++) store(to + i, sums[i]);
        }
    }
}

extern "C" void max_pool(int bytes, const Pool* p, const void* x, void* out, uint8_t* winner) {
    if (bytes == 2) pool_forward<bfloat16, float>(*p, (const bfloat16*)x, (bfloat16*)out, winner);
    else if (bytes == 4) pool_forward<float, float>(*p, (const float*)x, (float*)out, winner);
    else pool_forward<double, double>(*p, (const double*)x, (double*)out, winner);
}

extern "C" void max_pool_backward(int bytes, const Pool* p, const void* grad,
                                  const uint8_t* winner, void* dx) {
    if (bytes == 2)
        pool_backward<bfloat16, float>(*p, (const bfloat16*)grad, winner, (bfloat16*)dx);
    else if (bytes == 4) pool_backward<float, float>(*p, (const float*)grad, winner, (float*)dx);
    else pool_backward<double, double>(*p, (const double*)grad, winner, (double*)dx);
}

// ---------------------------------------------------------------- batches

struct Batch {
    int64_t images, stored, size, mean_top;  // the mean image is as large as the stored ones
    int64_t mean_moves;  // subtract the mean at the pixel's own place; else from mean_top, unmirrored
    int64_t threads;
    double divisor;
};

// Pixel by pixel; four numbers are moved faster than three, and the next pixel mends the fourth.
template <class T>
static void mirror(const T* from, T* to, long pixels) {
    const T* last = from + 3 * (pixels - 1);
    for (long x = 0; x < pixels; x++)
        std::memcpy(to + 3 * x, last - 3 * x, (x == 0 || x == pixels - 1 ? 3 : 4) * sizeof(T));
}

// out[b, y, x] = (image[top + y, left + x] - mean + shift[b]) / divisor, mirrored where flip says.
template <class T>
static void make_rows(const Batch& set, const uint8_t* const* images, const int64_t* top,
                     const int64_t* left, const uint8_t* flip, const float* mean,
                     const float* shift, T* out) {
    const long row = set.size * 3, stored_row = set.stored * 3;
    const float divisor = set.divisor;
    // A row is computed as it is stored, then mirrored; a mean that stays in place is mirrored
    // beforehand, so that this brings it back.
    const float* center = mean + set.mean_top * (stored_row + 3);
    std::vector<float> mirrored(set.mean_moves ? 0 : set.size * row);
    if (!set.mean_moves)
        for (long y = 0; y < set.size; y++)
            mirror(center + y * stored_row, mirrored.data() + y * row, set.size);
    #pragma omp parallel num_threads(set.threads)
    {
        std::vector<T> line(row);
        std::vector<float> added(row);
        #pragma omp for schedule(static)
        for (long b = 0; b < set.images; b++) {
            for (long i = 0; i < row; i++) added[i] = shift ? shift[b * 3 + i % 3] : 0;
            for (long y = 0; y < set.size; y++) {
                const long at = (top[b] + y) * stored_row + left[b] * 3;
                const uint8_t* from = images[b] + at;
                const float* less = set.mean_moves ? mean + at
                                    : flip[b] ? mirrored.data() + y * row
                                              : center + y * stored_row;
                const float* plus = added.data();
                T* to = out + (b * set.size + y) * row;
                T* target = flip[b] ? line.data() : to;
                if (divisor == 1) {
                    #pragma omp simd
                    for (long i = 0; i < row; i++) store(target + i, from[i] - less[i] + plus[i]);
                } else {
                    #pragma omp simd
                    for (long i = 0; i < row; i++)
                        store(target + i, (from[i] - less[i] + plus[i]) / divisor);
                }
                if (flip[b]) mirror(line.data(), to, set.size);
            }
        }
    }
}

extern "C" void make_batch(int bytes, const Batch* set, const uint8_t* const* images, const int64_t* top,
                           const int64_t* left, const uint8_t* flip, const float* mean,
                           const float* shift, void* out) {
    if (bytes == 2) make_rows(*set, images, top, left, flip, mean, shift, (bfloat16*)out);
    else make_rows(*set, images, top, left, flip, mean, shift, (float*)out);
}

// ---------------------------------------------------------------- the update rule

struct Update {
    int64_t count, threads;
    double lr, momentum, weight_decay;
};

extern "C" void paper_sgd(int, const Update* set, float* weight, float* velocity,
                          const float* gradient) {
    const float momentum = set->momentum, decay = set->weight_decay, lr = set->lr;
    #pragma omp parallel for schedule(static) num_threads(set->threads)
    for (long i = 0; i < set->count; i++) {
        velocity[i] = momentum * velocity[i] - decay * lr * weight[i] - lr * gradient[i];
        weight[i] += velocity[i];
    }
}

// ---------------------------------------------------------------- what build.py asks

extern "C" int64_t settings_size(const char* function) {
    const std::string name = function;
    if (name == "response_norm") return sizeof(Settings);
    if (name == "max_pool" || name == "max_pool_backward") return sizeof(Pool);
    if (name == "make_batch") return sizeof(Batch);
    return name == "paper_sgd" ? sizeof(Update) : 0;
}

extern "C" int has_openmp() {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}
