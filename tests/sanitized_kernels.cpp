// Calls every kernel on many shapes, each tensor in memory of exactly its size. Built by
// test_build.py with sanitizers, which end the program at the first access outside.

#include KERNELS
#include <cstdio>
#include <random>

static std::mt19937 rng(1);
static int calls = 0;

template <class T> static std::vector<T> noise(long count) {
    std::vector<T> out(count);
    std::normal_distribution<float> normal(0, 30);
    for (T& value : out) store(&value, normal(rng));
    return out;
}

template <class T> static void norms(long channels, long height, long width) {
    for (int last : {0, 1})
        for (int spatial : {0, 1})
            for (long reach : {0L, 1L, 2L, 7L})
                for (double beta : {0.75, 0.6}) {
                    const long most = (spatial ? std::max(height, width) : channels) - 1;
                    const long r = std::min(reach, most);
                    Settings set{3, channels, height, width, last, 1, r,
                                 spatial ? r : std::max(0L, r - 1), spatial, 1, 0.01, beta, 1};
                    const long count = 3 * channels * height * width;
                    auto x = noise<T>(count), grad = noise<T>(count), out = noise<T>(count);
                    response_norm(sizeof(T), &set, x.data(), nullptr, out.data());
                    response_norm(sizeof(T), &set, x.data(), grad.data(), out.data());
                    calls += 2;
                }
}

template <class T> static void pools(long channels, long height, long width) {
    for (long window : {1L, 2L, 3L, 15L})
        for (long stride : {1L, 2L, 4L, 40L}) {
            auto side = [&](long n) {
                return std::max(0L, std::min((n - window + stride - 1) / stride,
                                             (n - 1) / stride)) + 1;
            };
            Pool p{2, channels, height, width, side(height), side(width), window, stride, 1};
            const long in = 2 * channels * height * width;
            const long made = 2 * channels * p.out_height * p.out_width;
            auto x = noise<T>(in), out = noise<T>(made), dx = noise<T>(in);
            std::vector<uint8_t> winner(made);
            max_pool(sizeof(T), &p, x.data(), out.data(), winner.data());
            max_pool_backward(sizeof(T), &p, out.data(), winner.data(), dx.data());
            calls += 2;
        }
}

template <class T> static void batches(long stored, long size) {
    std::vector<uint8_t> image(stored * stored * 3, 200), flip{0, 1};
    const uint8_t* images[] = {image.data(), image.data()};
    auto mean = noise<float>(stored * stored * 3), shift = noise<float>(6);
    std::vector<int64_t> top{0, stored - size}, left{stored - size, 0};
    for (int moves : {0, 1})
        for (double divisor : {1.0, 58.0}) {
            auto out = noise<T>(2 * size * size * 3);
            Batch set{2, stored, size, (stored - size) / 2, moves, 1, divisor};
            make_batch(sizeof(T), &set, images, top.data(), left.data(), flip.data(), mean.data(),
                       calls % 2 ? shift.data() : nullptr, out.data());
            calls++;
        }
}

int main() {
    const long shapes[][3] = {{1, 1, 1}, {5, 7, 9}, {16, 16, 16}, {17, 17, 16}, {33, 3, 100}};
    for (auto& [c, h, w] : shapes) {
        norms<float>(c, h, w), norms<bfloat16>(c, h, w);
        if (h > 1) pools<float>(c, h, w), pools<bfloat16>(c, h, w);
    }
    for (long size : {1L, 2L, 31L, 40L}) batches<float>(40, size), batches<bfloat16>(40, size);
    auto w = noise<float>(1001), v = noise<float>(1001), g = noise<float>(1001);
    Update set{1001, 1, 0.1, 0.9, 5e-4};
    paper_sgd(4, &set, w.data(), v.data(), g.data());
    std::printf("%d calls\n", calls + 1);
}
