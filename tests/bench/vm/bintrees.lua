local function make(depth)
  if depth == 0 then return {false, false} end
  return {make(depth - 1), make(depth - 1)}
end
local function check(tree)
  local left = tree[1]
  if not left then return 1 end
  return 1 + check(left) + check(tree[2])
end
local depth = 14
local total = check(make(depth + 1))
local long_lived = make(depth)
local d = 4
while d <= depth do
  local count = 1
  for i = 1, depth - d + 4 do count = count * 2 end
  local sum = 0
  for i = 1, count do sum = sum + check(make(d)) end
  total = total + sum
  d = d + 2
end
print(total + check(long_lived))
