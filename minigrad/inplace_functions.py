"""torch.abs_, torch.exp_, ...: the in-place methods that torch also has as functions."""

from __future__ import annotations

from .tensor import Tensor

abs_, acos_, acosh_, addmv_ = Tensor.abs_, Tensor.acos_, Tensor.acosh_, Tensor.addmv_
arccos_, arccosh_, arcsin_ = Tensor.arccos_, Tensor.arccosh_, Tensor.arcsin_
arcsinh_, arctan_, arctanh_ = Tensor.arcsinh_, Tensor.arctan_, Tensor.arctanh_
as_strided_, asin_, asinh_ = Tensor.as_strided_, Tensor.asin_, Tensor.asinh_
atan_, atanh_, ceil_, clamp_ = Tensor.atan_, Tensor.atanh_, Tensor.ceil_, Tensor.clamp_
clamp_max_, clamp_min_, clip_ = Tensor.clamp_max_, Tensor.clamp_min_, Tensor.clip_
conj_physical_, cos_, cosh_ = Tensor.conj_physical_, Tensor.cos_, Tensor.cosh_
deg2rad_, detach_, erf_, erfc_ = Tensor.deg2rad_, Tensor.detach_, Tensor.erf_, Tensor.erfc_
exp2_, exp_, expm1_, fill_, fix_ = (
    Tensor.exp2_, Tensor.exp_, Tensor.expm1_, Tensor.fill_, Tensor.fix_)
floor_, frac_, gcd_, i0_, lcm_ = (
    Tensor.floor_, Tensor.frac_, Tensor.gcd_, Tensor.i0_, Tensor.lcm_)
ldexp_, log10_, log1p_, log2_ = Tensor.ldexp_, Tensor.log10_, Tensor.log1p_, Tensor.log2_
log_, logit_, nan_to_num_, neg_ = Tensor.log_, Tensor.logit_, Tensor.nan_to_num_, Tensor.neg_
negative_, rad2deg_, reciprocal_ = Tensor.negative_, Tensor.rad2deg_, Tensor.reciprocal_
relu_, round_, rsqrt_, sigmoid_ = Tensor.relu_, Tensor.round_, Tensor.rsqrt_, Tensor.sigmoid_
sin_, sinc_, sinh_, sqrt_ = Tensor.sin_, Tensor.sinc_, Tensor.sinh_, Tensor.sqrt_
square_, tan_, tanh_, trunc_ = Tensor.square_, Tensor.tan_, Tensor.tanh_, Tensor.trunc_
xlogy_ = Tensor.xlogy_
