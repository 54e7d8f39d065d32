"""Muon for the weights of convolutions, Adam for the rest, as one optimizer."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from sdnet_pl.errors import InputError

# Five steps of this quintic bring every singular value between 0.7 and 1.2 (K. Jordan et al., Muon, 2024).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon: a momentum whose singular values are all made one (K. Jordan et al., 2024).

    For the weights of convolutions that mix channels, taken as matrices ``[out, in · kh · kw]``; ``torch.optim.Muon``
    takes matrices alone. Depthwise convolutions, normalisations, slopes and biases get Adam, and so should the gates of
    channel attention: every step of Muon has its full length, however small the gradient, until their sigmoids are 0 or
    1 for every picture and learn no more.

    Args:
        params: The parameters of a network.
        adam: Those that use Adam whatever their shape.
        lr: Learning rate of Adam.
        muon_lr: The length of a step of Muon in the spectral norm, before a factor of sqrt(out / in) for matrices
            with more rows than columns.
        momentum: Of Muon, after Nesterov.
        weight_decay: Of Muon's matrices, decoupled: every step shrinks them by ``muon_lr * weight_decay``.
        betas: Of Adam.
        eps: Of Adam.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        adam: Collection[nn.Parameter] = (),
        lr: float = 2e-3,
        muon_lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        params, spared = list(params), {id(p) for p in adam}
        mixing = [p for p in params if id(p) not in spared and p.ndim == 4 and p.shape[0] > 1 and p.shape[1] > 1]
        known = {id(p) for p in mixing}
        groups = [
            {"params": [p for p in params if id(p) not in known], "orthogonal": False, "lr": lr},
            {"params": mixing, "orthogonal": True, "lr": muon_lr},
        ]
        super().__init__(groups, {"momentum": momentum, "weight_decay": weight_decay, "betas": betas, "eps": eps})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As for every optimiser.

        Raises:
            InputError: Muon and Adam shared the parameters otherwise when the state was saved.
        """
        sizes, ours = ([len(g["params"]) for g in groups] for groups in (state_dict["param_groups"], self.param_groups))
        if sizes != ours:
            raise InputError(
                "This run with Muon was begun by a version of sdnet_pl that had AMPA's gates under Muon too, or with "
                "another network; it cannot be resumed. Start another from its weights: --model.weights RUN/last.ckpt."
            )
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient.

        Args:
            closure: Computes the loss and the gradients again.

        Returns:
            The closure's loss, or none.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                (self._orthogonal_step if group["orthogonal"] else self._adam_step)(params, group)
        return loss

    def _adam_step(self, params: list[Tensor], group: dict[str, Any]) -> None:
        first, second = self._buffers(params, "exp_avg"), self._buffers(params, "exp_avg_sq")
        grads = [p.grad for p in params if p.grad is not None]
        (beta1, beta2), state = group["betas"], self.state[params[0]]
        state["step"] = state.get("step", 0) + 1
        torch._foreach_lerp_(first, grads, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, grads, grads, 1 - beta2)
        scale = torch._foreach_sqrt(second)
        torch._foreach_div_(scale, (1 - beta2 ** state["step"]) ** 0.5)
        torch._foreach_add_(scale, group["eps"])
        torch._foreach_addcdiv_(params, first, scale, -group["lr"] / (1 - beta1 ** state["step"]))

    def _orthogonal_step(self, params: list[Tensor], group: dict[str, Any]) -> None:
        momenta = self._buffers(params, "momentum")
        grads = [p.grad for p in params if p.grad is not None]
        torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
        ahead = torch._foreach_lerp(grads, momenta, group["momentum"])
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        by_shape = defaultdict(list)
        for param, update in zip(params, ahead, strict=True):
            by_shape[param.shape[0], param[0].numel()].append((param, update))
        for (rows, columns), pairs in by_shape.items():  # matrices of one shape in one product
            stacked = orthogonalise(torch.stack([update.reshape(rows, columns) for _, update in pairs]))
            step = -group["lr"] * max(1, rows / columns) ** 0.5
            for (param, _), matrix in zip(pairs, stacked, strict=True):
                param.add_(matrix.view(param.shape), alpha=step)

    def _buffers(self, params: list[Tensor], name: str) -> list[Tensor]:
        for p in params:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros_like(p)
        return [self.state[p][name] for p in params]


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` has bfloat16 in hardware; of a GPU it is taken for granted."""
    return device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def orthogonalise(matrices: Tensor) -> Tensor:
    """``[N, rows, columns]`` with all singular values brought to about one by Newton-Schulz steps.

    They are taken in bfloat16 where the device computes in it; a CPU that only imitates it takes ten times as long.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    x = x.bfloat16() if computes_in_bfloat16(x.device) else x
    tall = x.shape[1] > x.shape[2]
    x = (x.mT if tall else x).contiguous()
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
