local function a(i, j)
  local ij = i + j
  return 1.0 / (ij * (ij + 1) // 2 + i + 1)
end
local function times(x, n, transposed)
  local y = {}
  for i = 0, n - 1 do
    local sum = 0.0
    for j = 0, n - 1 do
      if transposed then sum = sum + a(j, i) * x[j + 1]
      else sum = sum + a(i, j) * x[j + 1] end
    end
    y[#y + 1] = sum
  end
  return y
end
local function spectral(n)
  local u = {}
  for i = 1, n do u[i] = 1.0 end
  local v = u
  for i = 1, 10 do
    v = times(times(u, n, false), n, true)
    u = times(times(v, n, false), n, true)
  end
  local vbv, vv = 0.0, 0.0
  for i = 1, n do
    vbv = vbv + u[i] * v[i]
    vv = vv + v[i] * v[i]
  end
  return math.sqrt(vbv / vv)
end
print(string.format("%.15g", spectral(300)))
