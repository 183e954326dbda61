// Numbers of the TPM 2.0 specification, part 2, that the verifying side needs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmsec::boot {

inline constexpr std::uint16_t kAlgAes = 0x0006;
inline constexpr std::uint16_t kAlgSha256 = 0x000b;
inline constexpr std::uint16_t kAlgSha384 = 0x000c;
inline constexpr std::uint16_t kAlgNull = 0x0010;
inline constexpr std::uint16_t kAlgRsassa = 0x0014;
inline constexpr std::uint16_t kAlgEcdsa = 0x0018;
inline constexpr std::uint16_t kAlgCfb = 0x0043;
inline constexpr std::uint16_t kCurveP256 = 0x0003;
inline constexpr std::uint16_t kCurveP384 = 0x0004;
inline constexpr std::uint32_t kRsaExponent = 65537;
inline constexpr std::uint32_t kGeneratedMagic = 0xff544347;  // the TPM made it: "\xffTCG"
inline constexpr std::uint16_t kAttestQuote = 0x8018;

}  // namespace vmsec::boot
