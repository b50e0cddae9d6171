"""A first state that is learned, or computed (haste#6; sequencer#6; pytorch#434).

There one makes a parameter, spreads it over the batch, and passes it by hand. Here it is a
keyword, or a line of the equations.
"""

import torch

import elman

torch.manual_seed(0)
x = torch.randn(12, 4, 3)
layer = elman.nn.Recurrent(elman.cells["gru"], 3, 5, num_layers=2, learn_initial_state=True)
print([name for name, _ in layer.named_parameters() if "_0_" in name])
for k in (0, 1):
    torch.nn.init.normal_(getattr(layer, f"h_0_l{k}"))

plain = elman.nn.Recurrent(elman.cells["gru"], 3, 5, num_layers=2)
plain.load_state_dict(layer.state_dict(), strict=False)
h_0 = torch.stack([layer.h_0_l0, layer.h_0_l1]).detach().requires_grad_()
by_hand, _ = plain(x, {"h": h_0[:, None].expand(2, 4, 5).contiguous()})
torch.testing.assert_close(layer(x)[0], by_hand)
(expected,) = torch.autograd.grad(by_hand.square().sum(), h_0)
layer(x)[0].square().sum().backward()
torch.testing.assert_close(torch.stack([layer.h_0_l0.grad, layer.h_0_l1.grad]), expected)
print("outputs and gradients are those of a state that is passed by hand")

captions = elman.nn.Recurrent(
    """
    v: per sequence
    h[0] = tanh(V @ v)
    h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    """,
    3,
    5,
    sizes={"v": 6},
)
image = torch.randn(4, 6)
first = torch.tanh(image @ captions.V_l0.T)
torch.testing.assert_close(captions(x, v=image)[0], captions(x, {"h": first[None]}, v=image)[0])
captions(x, v=image)[0].sum().backward()
print(f"a state made of an image reaches its weights: {captions.V_l0.grad.norm():.3f}")
